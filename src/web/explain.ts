import type { Certificate, CertificateRecord } from "../core/certificate/schema.ts";
import type { JobSpec } from "../core/messages/job.ts";
import { formatCount, plural } from "./format.ts";
import { confirmObstacles, type ScannerSeen } from "./vantage.ts";

/** Who said that it was open, the newest word of each log. `atMs`: when the region's keeper took it down. */
export type ExplainedSighting = {
  readonly atMs: number;
  readonly by: string;
  readonly region: string;
  /** `a report of job …`, `a probe`, `an upload`. */
  readonly how: string;
  readonly job: string | null;
  readonly record: string;
};

/** A job that looked at the whole tile and did not see it. */
export type ExplainedMiss = {
  readonly job: string;
  readonly plan: string;
  readonly tile: number;
  readonly plannedAtMs: number;
  readonly completeAtMs: number | null;
  readonly scanners: readonly string[];
  /** Who let a held tile count; null when the brake did not hold it. */
  readonly releasedBy: string | null;
};

/** A probe that was sent after the misses, just for this service. */
export type ExplainedConfirm = {
  readonly scanner: string;
  readonly region: string;
  readonly basis: "sighter" | "others";
  readonly answer: string;
  readonly connects: number;
  readonly atMs: number;
  readonly record: string;
};

/** A certificate in words for people. */
export type Explanation = {
  /** One sentence: the verdict and its ground. */
  readonly verdict: string;
  /** What the rules asked for, and what is still lacking. */
  readonly rules: readonly string[];
  readonly sightings: readonly ExplainedSighting[];
  readonly misses: readonly ExplainedMiss[];
  readonly confirms: readonly ExplainedConfirm[];
};

/**
 * Says why, from the certificate alone. It does not check it: that is `checkCertificate`. From `scanners` follows only who cannot be
 * asked for a confirming probe at the moment.
 */
export function explain(certificate: Certificate, scanners: readonly ScannerSeen[] = []): Explanation {
  const records = new Map(certificate.records.map((record) => [record.id, record]));
  const sightings = sightingsOf(certificate, records).toSorted((a, b) => b.atMs - a.atMs);
  const misses = missesOf(certificate, records).toSorted((a, b) => a.plannedAtMs - b.plannedAtMs);
  const confirms = confirmsOf(certificate, records).toSorted((a, b) => a.atMs - b.atMs);
  const last = misses.at(-1);
  const spec = last === undefined ? null : jobOf(records, last.job);
  const rules = rulesOf(certificate, spec, { sightings, misses, scanners });
  return { verdict: verdictOf(certificate, misses), rules, sightings, misses, confirms };
}

type Records = ReadonlyMap<string, CertificateRecord>;

function jobOf(records: Records, id: string): JobSpec | null {
  const statement = records.get(id)?.statement;
  return statement?.kind === "job" ? statement.content : null;
}

function verdictOf({ verdict }: Certificate, misses: readonly ExplainedMiss[]): string {
  switch (verdict) {
    case "open":
      return "Open: it was seen, and no complete look since then has missed it.";
    case "missing":
      return `Missing: ${plural(misses.length, "complete look")} since the last sighting did not see it. That is not yet enough to call it closed.`;
    case "closed":
      return `Closed: ${plural(misses.length, "complete look")} in sequence, each planned with every sighting known, did not see it.`;
  }
}

function rulesOf(
  certificate: Certificate,
  spec: JobSpec | null,
  { sightings, misses, scanners }: Pick<Explanation, "sightings" | "misses"> & { readonly scanners: readonly ScannerSeen[] },
): string[] {
  if (spec === null) return ["Only a complete look at its whole tile, planned after the last sighting, can count against it."];
  const { closeAfter, confirm } = spec.policy;
  const asked = `Plan ${spec.plan.name} asks for ${plural(closeAfter, "such look")} in sequence${confirm ? ", and for a confirming probe" : ", and for no confirming probe"}.`;
  const seenIn = [...new Set(sightings.map(({ region }) => region))].filter((region) => spec.regions.includes(region));
  const due = seenIn.length > 0 ? seenIn : [spec.home];
  const regions = confirm
    ? [`The probe ${certificate.verdict === "closed" ? "was" : "is"} due from ${due.join(" and ")}: where own scanners have seen it.`]
    : [];
  if (certificate.verdict === "closed") return [asked, ...regions];
  const lacking =
    misses.length < closeAfter
      ? `At least ${formatCount(closeAfter - misses.length)} more ${closeAfter - misses.length === 1 ? "look is" : "looks are"} needed.`
      : confirm
        ? "The looks are there; what is lacking is a confirming probe, or looks that were planned one after the other."
        : "The looks are not in sequence: each has to be planned after the one before was complete.";
  const obstacles = confirm && misses.length >= closeAfter ? confirmObstacles(certificate, due, scanners) : [];
  return [asked, ...regions, lacking, ...obstacles];
}

function sightingsOf({ sightings, regions }: Certificate, records: Records): ExplainedSighting[] {
  return sightings.flatMap(({ log, rseq, record: id }) => {
    const record = records.get(id);
    if (record === undefined) return [];
    const { statement, author } = record;
    const atMs = record.positions.find((position) => position.log === log && position.rseq === rseq)?.stampMs ?? 0;
    const job = statement.kind === "part" ? statement.content.key.job : null;
    const how = statement.kind === "probe" ? "a confirming probe" : statement.kind === "upload" ? "an upload" : "a scan";
    return [{ atMs, by: author.name, region: regions[log] ?? "", how, job, record: id }];
  });
}

function missesOf({ misses }: Certificate, records: Records): ExplainedMiss[] {
  return misses.flatMap(({ job, tile, tileComplete, tileCompletes }) => {
    const spec = jobOf(records, job);
    const complete = records.get(tileComplete);
    if (spec === null || complete?.statement.kind !== "tile-complete") return [];
    const reports = complete.statement.content.reports.flatMap(({ id }) => records.get(id)?.author.name ?? []);
    const release = [...records.values()].flatMap(({ statement }) =>
      statement.kind === "release" && tileCompletes.includes(statement.content.tileComplete) ? [statement.content] : [],
    )[0];
    const releasedBy = release === undefined ? null : release.cause === "operator" ? release.by : "the plan's next job";
    const completeAtMs = complete.positions[0]?.stampMs ?? null;
    return [{ job, plan: spec.plan.name, tile, plannedAtMs: spec.plannedAtMs, completeAtMs, scanners: [...new Set(reports)], releasedBy }];
  });
}

function confirmsOf({ confirms, service }: Certificate, records: Records): ExplainedConfirm[] {
  return confirms.flatMap((id) => {
    const record = records.get(id);
    if (record?.statement.kind !== "probe") return [];
    const { order, results, endedAtMs } = record.statement.content;
    // By the keeper's stamp, as everything else here.
    const atMs = record.positions[0]?.stampMs ?? endedAtMs;
    const result = results.find((one) => one.address === service.address && one.port === service.port && one.protocol === service.protocol);
    if (result === undefined) return [];
    const { answer, connects } = result;
    return [{ scanner: record.author.name, region: order.region, basis: order.basis, answer, connects, atMs, record: id }];
  });
}
