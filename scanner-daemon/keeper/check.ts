import { decodeSightingTable, type SightingTable } from "../../src/core/columns.ts";
import { PortolanError } from "../../src/core/errors.ts";
import { judge } from "../../src/core/masscan/outcome.ts";
import type { AssignmentKey } from "../../src/core/messages/job.ts";
import type { SignedStatement } from "../../src/core/messages/record.ts";
import type { Part, Report } from "../../src/core/messages/report.ts";
import { signedText, statementId, type Sha256Hex } from "../../src/core/statement.ts";
import { decodeWire } from "../../src/core/wire.ts";
import { ATTEMPTS_MAX, type AcceptItem } from "../../src/ledger/types.ts";
import type { Scanner } from "../../src/registry/types.ts";
import { checkProbe, type ProbeDeps } from "./check-probe.ts";
import { assignmentOf, memberOf, type JobFacts, type Specs } from "./specs.ts";

/** What a scanner's message turned out to be. `cause` names the kind of refusal for the counters. */
export type Checked =
  | { readonly kind: "good"; readonly item: AcceptItem; readonly sightings: number; readonly job: string }
  | { readonly kind: "bad"; readonly cause: BadCause; readonly problem: string }
  /** Cannot be told at the moment; the same bytes may be right later. */
  | { readonly kind: "later"; readonly problem: string };
export type BadCause = "garbled" | "forged" | "foreign" | "mismatch" | "outside";

/** What the check needs to know. */
export type CheckDeps = ProbeDeps & {
  readonly sha256: Sha256Hex;
  /** Registered scanners; null while no registry state is known. */
  readonly scanners: () => readonly Scanner[] | null;
  readonly specs: Specs;
  /** The scanner that a reassignment gave this attempt to; null when the shard's own member has it. */
  readonly reassigned: (key: AssignmentKey) => Promise<string | null>;
  /** Records that other regions hold may be on their way to a ledger that was lost or cut off; without it none are. */
  readonly mayStillCome?: () => boolean;
};

/**
 * Judges bytes that claim to be a part, a report or a probe: registered author, its signature, its own assignment, payload as
 * announced, every sighting inside the tile. A report is judged again from its evidence: `judged` says what it counts
 * as, and it counts as complete only when its scanner says so as well. Throws only when the ledger does not answer.
 */
export async function checkMessage(bytes: Uint8Array, deps: CheckDeps): Promise<Checked> {
  let wire: ReturnType<typeof decodeWire>;
  try {
    wire = decodeWire(bytes);
  } catch (error) {
    return bad("garbled", error instanceof PortolanError ? error.message : "the message cannot be read");
  }
  const { signed, payload } = wire;
  const { statement } = signed;
  if (statement.kind !== "part" && statement.kind !== "report" && statement.kind !== "probe")
    return bad("foreign", `a scanner may send parts, reports and probes, not a ${statement.kind}`);
  const id = statementId(statement, deps.sha256);
  const refusal = checkAuthor(signed, id, deps);
  if (refusal !== null) return refusal;
  if (statement.kind === "probe") {
    const problem = checkProbe(statement.content, deps);
    if (problem !== null) return bad(problem.cause, problem.text);
    const { results, order } = statement.content;
    return { kind: "good", item: { statement, id, author: signed.author, payload: null }, sightings: results.length, job: order.job };
  }
  const { key, scanner } = statement.content;
  const job = await deps.specs.get(key.job);
  if (job === null) return stranger(`job ${key.job} is not in the ledger of region ${deps.region}`, deps);
  const foreign = await checkAssignment(job, statement.content, deps);
  if (foreign !== null) return foreign;
  const base = { statement, id, author: signed.author };
  if (statement.kind === "report") return checkReport(base, statement.content, job, deps);
  const sightings = readPart(statement.content, payload, deps.sha256);
  if ("kind" in sightings) return sightings;
  const stray = job.tile(key.tile).outside(sightings);
  if (stray !== null) {
    return bad(
      "outside",
      `scanner "${scanner}" reports address key ${stray.hex} port ${stray.port}, which is not in tile ${key.tile} of job ${key.job}`,
    );
  }
  return { kind: "good", item: { ...base, payload, sightings }, sightings: sightings.count, job: key.job };
}

function checkAuthor({ statement, author }: SignedStatement, id: string, deps: CheckDeps): Checked | null {
  const scanners = deps.scanners();
  if (scanners === null) return { kind: "later", problem: "the keeper does not know the registry yet" };
  const registered = scanners.find((scanner) => scanner.name === author.name);
  if (registered === undefined || !registered.enabled) return bad("forged", `"${author.name}" is no registered scanner`);
  if (registered.region !== deps.region) return bad("foreign", `scanner "${author.name}" belongs to region ${registered.region}`);
  if (registered.publicKey !== author.publicKey) return bad("forged", `the key of scanner "${author.name}" is not the registered one`);
  if (!deps.verify(author.publicKey, signedText(id), author.signature))
    return bad("forged", `the signature of scanner "${author.name}" does not fit`);
  const named = namedScanner(statement);
  return named === author.name ? null : bad("forged", `scanner "${author.name}" speaks for "${named ?? "nobody"}"`);
}

function namedScanner(statement: SignedStatement["statement"]): string | null {
  if (statement.kind === "probe") return statement.content.order.scanner;
  return statement.kind === "part" || statement.kind === "report" ? statement.content.scanner : null;
}

/** An attempt belongs to one scanner: the shard's own member, or the one that a reassignment gave it to. */
async function checkAssignment(job: JobFacts, { key, scanner }: Part | Report, deps: CheckDeps): Promise<Checked | null> {
  if (key.tile >= job.tiling.count) return bad("foreign", `job ${job.id} has no tile ${key.tile}`);
  const member = memberOf(job.tile(key.tile).tile, key.shard);
  const isKnown = member !== null && key.attempt <= ATTEMPTS_MAX;
  if (isKnown && ((await deps.reassigned(key)) ?? member) === scanner) return null;
  return stranger(
    `shard ${key.shard}, attempt ${key.attempt} of tile ${key.tile} of job ${job.id} was never given to scanner "${scanner}"`,
    deps,
  );
}

/** What nobody here has given out: a refusal for good would lose it when only the record of it is late. */
function stranger(problem: string, { mayStillCome }: CheckDeps): Checked {
  return mayStillCome?.() === true ? { kind: "later", problem: `${problem} yet` } : bad("foreign", problem);
}

/** The rows, or why they cannot be what the part announces. */
function readPart(part: Part, payload: Uint8Array | null, sha256: Sha256Hex): SightingTable | Checked {
  if (payload === null || sha256(payload) !== part.payloadSha256)
    return bad("mismatch", "the payload is not the one that the part was signed with");
  try {
    const table = decodeSightingTable(payload);
    return table.count === part.sightings
      ? table
      : bad("mismatch", `the payload holds ${table.count} sightings; the part announces ${part.sightings}`);
  } catch (error) {
    return bad("garbled", error instanceof PortolanError ? error.message : "the payload cannot be read");
  }
}

function checkReport(base: Pick<AcceptItem, "statement" | "id" | "author">, report: Report, job: JobFacts, deps: CheckDeps): Checked {
  const announced = report.parts.reduce((sum, part) => sum + part.sightings, 0);
  if (announced !== report.sightings || new Set(report.parts.map((part) => part.id)).size !== report.parts.length) {
    return bad("mismatch", `the report's parts do not add up to its ${report.sightings} sightings`);
  }
  const own = judge(report.evidence, assignmentOf(job, report.key), deps.sha256);
  const judged = own.kind === "complete" ? report.outcome : own;
  return { kind: "good", item: { ...base, payload: null, judged }, sightings: 0, job: job.id };
}

function bad(cause: BadCause, problem: string): Checked & { kind: "bad" } {
  return { kind: "bad", cause, problem: problem.slice(0, 900) };
}
