import type { Certificate, CertificateRecord } from "../core/certificate/schema.ts";

/** A registered scanner, as the region that answers knows it. */
export type ScannerSeen = {
  readonly name: string;
  readonly region: string;
  readonly enabled: boolean;
  /** Its last heartbeat; null when none was heard here. */
  readonly live: { readonly silent: boolean; readonly engines: readonly string[] } | null;
};

/** So many have to agree where the last one to have seen the service is away. */
const OTHERS = 2;

/**
 * Why these regions cannot confirm at the moment, one sentence each: nobody there can be asked. Regions whose scanners are not
 * heard here, and those that can confirm, are left out.
 */
export function confirmObstacles(certificate: Certificate, regions: readonly string[], scanners: readonly ScannerSeen[]): string[] {
  const engine = certificate.service.protocol === "tcp" ? "connect" : "masscan";
  const records = new Map(certificate.records.map((record) => [record.id, record]));
  return regions.flatMap((region) => {
    const ours = scanners.filter((scanner) => scanner.region === region);
    if (ours.every(({ live }) => live === null)) return [];
    const able = ours.filter(({ enabled, live }) => enabled && live !== null && !live.silent && live.engines.includes(engine));
    const sighter = lastSighter(certificate, records, region);
    if (able.length >= OTHERS || able.some(({ name }) => name === sighter)) return [];
    const others = `two ${sighter === null ? "" : "other "}scanners have to agree, and ${able[0] === undefined ? "none" : `only ${able[0].name}`} is ready for it`;
    return sighter === null
      ? [`Region ${region} cannot confirm it at the moment: ${others}; start another one there.`]
      : [
          `Region ${region} cannot confirm it at the moment: scanner ${sighter}, the last one there to have seen it, is away; without it ${others}. Start ${sighter} or another one there.`,
        ];
  });
}

/** Name of the region's own scanner that saw the service last, as far as the certificate shows it. */
function lastSighter({ sightings, regions, revoked }: Certificate, records: ReadonlyMap<string, CertificateRecord>, region: string) {
  let last: { readonly name: string; readonly atMs: number } | null = null;
  for (const { log, rseq, ownRseq, record: id } of sightings) {
    const record = records.get(id);
    if (regions[log] !== region || ownRseq !== rseq || record === undefined || revoked.includes(record.author.publicKey)) continue;
    const atMs = record.positions.find((position) => position.log === log && position.rseq === rseq)?.stampMs ?? 0;
    if (last === null || atMs > last.atMs) last = { name: record.author.name, atMs };
  }
  return last?.name ?? null;
}
