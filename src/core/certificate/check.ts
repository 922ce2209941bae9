import { formatAddress, parseAddress } from "../address.ts";
import { PortolanError } from "../errors.ts";
import type { JobSpec } from "../messages/job.ts";
import { confirmOrderSignedText, type Sha256Hex } from "../statement.ts";
import { checkMiss } from "./miss.ts";
import { Records } from "./records.ts";
import { type Certificate, certificateSchema, type CertificateRecord } from "./schema.ts";

/** Whether `signature` (base64url) is the Ed25519 signature of the key's holder over the text's UTF-8. */
export type VerifySignature = (publicKey: string, text: string, signature: string) => boolean;

/** What a checker needs from outside: core has no cryptography. */
export type CheckTools = { readonly sha256: Sha256Hex; readonly verify: VerifySignature };

/** `problems`: everything that is wrong, in words; never empty. */
export type CheckResult =
  | { readonly ok: true; readonly verdict: Certificate["verdict"] }
  | { readonly ok: false; readonly problems: string[] };

const PROBLEMS_MAX = 50;

/**
 * Follows the rules from a certificate alone, and shares no code with what made the verdict: ids and chain links are hashed
 * anew, signatures verified, the service looked up in the tile as the job spec cuts it. Never throws, whatever it is given.
 */
export function checkCertificate(certificate: unknown, tools: CheckTools): CheckResult {
  const parsed = certificateSchema.safeParse(certificate);
  if (!parsed.success) {
    return { ok: false, problems: parsed.error.issues.slice(0, PROBLEMS_MAX).map(({ path, message }) => `${path.join(".")}: ${message}`) };
  }
  const problems: string[] = [];
  try {
    problems.push(...problemsOf(parsed.data, tools));
  } catch (error) {
    if (!(error instanceof PortolanError)) throw error;
    problems.push(error.message);
  }
  return problems.length === 0 ? { ok: true, verdict: parsed.data.verdict } : { ok: false, problems: problems.slice(0, PROBLEMS_MAX) };
}

function problemsOf(certificate: Certificate, tools: CheckTools): string[] {
  const { address } = certificate.service;
  if (formatAddress(parseAddress(address)) !== address) return [`service: the address ${address} is not in canonical text`];
  const records = new Records(certificate.records, tools);
  const problems = [...records.problems(certificate.held), ...sightingProblems(certificate, records)];
  for (const miss of certificate.misses) problems.push(...checkMiss(certificate, records, miss));
  if (problems.length > 0) return problems;
  switch (certificate.verdict) {
    case "open":
      return certificate.misses.length === 0 ? [] : ["verdict: open, but there are misses"];
    case "missing":
      return certificate.misses.length > 0 ? [] : ["verdict: missing, but there is no miss"];
    case "closed":
      return closingProblems(certificate, records, tools);
  }
}

/** Each log's newest sighting has to be a record that can be one, at the position that is said. */
function sightingProblems({ sightings, regions, service }: Certificate, records: Records): string[] {
  const problems: string[] = [];
  if (new Set(sightings.map(({ log }) => log)).size !== sightings.length) problems.push("sightings: a log stands twice");
  for (const { log, rseq, ownRseq, record: id } of sightings) {
    const record = records.get(id);
    const at = `sighting at ${rseq} of log ${log.slice(0, 8)}`;
    if (regions[log] === undefined) problems.push(`${at}: the log has no region`);
    if (ownRseq > rseq) problems.push(`${at}: an own sighting stands above the last one`);
    if (record === undefined || !record.positions.some((position) => position.log === log && position.rseq === rseq)) {
      problems.push(`${at}: its record is not there`);
      continue;
    }
    const { statement } = record;
    const isOpen =
      statement.kind === "probe"
        ? statement.content.results.some((result) => result.answer === "open" && isSame(result, service))
        : statement.kind === "part" || statement.kind === "upload";
    if (!isOpen) problems.push(`${at}: a ${statement.kind} does not say that the service was open`);
    if (statement.kind === "upload" && ownRseq === rseq) problems.push(`${at}: an upload is no sighting by an own scanner`);
  }
  return problems;
}

/** Rules 4 to 6: the misses follow each other, there are enough of them for the last one's policy, and it is confirmed. */
function closingProblems(certificate: Certificate, records: Records, tools: CheckTools): string[] {
  const problems: string[] = [];
  const { misses } = certificate;
  if (new Set(misses.map(({ job }) => job)).size !== misses.length) problems.push("misses: a job stands twice");
  for (const [index, miss] of misses.entries()) {
    const before = misses[index - 1];
    if (before === undefined) continue;
    const frontier = records.job(miss.job)?.frontier ?? {};
    if (!before.tileCompletes.some((id) => records.isWithin(id, frontier)))
      problems.push(`misses: job ${miss.job.slice(0, 12)} was planned before the one in front of it was complete`);
  }
  const last = misses.at(-1);
  const spec = last === undefined ? null : records.job(last.job);
  if (last === undefined || spec === null) return [...problems, "verdict: closed, but no job missed the service"];
  if (misses.length < spec.policy.closeAfter)
    problems.push(`verdict: closed after ${misses.length} misses in sequence; the job's policy asks for ${spec.policy.closeAfter}`);
  return spec.policy.confirm ? [...problems, ...confirmProblems(certificate, records, tools, spec)] : problems;
}

/** Rule 5: one confirm from each region on the job's list whose own scanners have seen the service, else from the job's home. */
function confirmProblems(certificate: Certificate, records: Records, tools: CheckTools, spec: JobSpec): string[] {
  const { sightings, regions } = certificate;
  const vantages = new Set(sightings.filter(({ ownRseq }) => ownRseq >= 0).map(({ log }) => regions[log]));
  const sighted = spec.regions.filter((region) => vantages.has(region));
  const probes = certificate.confirms.flatMap((id) => records.get(id) ?? []);
  return (sighted.length > 0 ? sighted : [spec.home]).flatMap((region) => {
    const orders = probes.filter((probe) => confirmsFrom(certificate, records, tools, probe, region)).map(orderOf);
    const others = new Set(orders.filter((order) => order?.basis === "others").map((order) => order?.scanner));
    const isConfirmed = orders.some((order) => order?.basis === "sighter") || others.size >= 2;
    return isConfirmed ? [] : [`confirms: ${region} has to confirm, and nothing here does so`];
  });
}

function orderOf({ statement }: CertificateRecord) {
  return statement.kind === "probe" ? statement.content.order : null;
}

/** Rule 6. */
function confirmsFrom(
  certificate: Certificate,
  records: Records,
  { verify }: CheckTools,
  { statement, author, positions }: CertificateRecord,
  region: string,
): boolean {
  const { service, sightings, regions, held, revoked } = certificate;
  if (statement.kind !== "probe") return false;
  const { order, results } = statement.content;
  const last = certificate.misses.at(-1);
  return (
    order.region === region &&
    order.scanner === author.name &&
    positions.some(({ log }) => regions[log] === region) &&
    !revoked.includes(author.publicKey) &&
    verify(order.keeper, confirmOrderSignedText(order), order.signature) &&
    results.some((result) => (result.answer === "closed" || result.answer === "filtered") && isSame(result, service)) &&
    sightings.every(({ log, rseq }) => rseq <= (order.frontier[log] ?? -1)) &&
    last !== undefined &&
    last.tileCompletes.some((id) => records.isWithin(id, order.frontier)) &&
    Object.entries(order.frontier).every(([log, upto]) => upto <= (held[log] ?? -1))
  );
}

function isSame(a: Certificate["service"], b: Certificate["service"]): boolean {
  return a.address === b.address && a.protocol === b.protocol && a.port === b.port;
}
