import { jobFacts } from "../../../scanner-daemon/keeper/specs.ts";
import type { Bus, Claim } from "../../../src/bus/bus.ts";
import { publicKeyOf, sha256Hex, signText, verifyText } from "../../../src/bus/keys.node.ts";
import { heartbeatSubject, reportsSubject } from "../../../src/bus/names.ts";
import { formatAddress, parseAddress } from "../../../src/core/address.ts";
import { encodeSightings, type Sighting } from "../../../src/core/columns.ts";
import { assignmentRanges, rangesDigest } from "../../../src/core/masscan/argv.ts";
import { connectShardPairs } from "../../../src/core/masscan/outcome.ts";
import { signedAssignmentSchema, submitReplySchema, type Heartbeat, type SubmitReply } from "../../../src/core/messages/bus.ts";
import type { Assignment } from "../../../src/core/messages/job.ts";
import type { Statement } from "../../../src/core/messages/record.ts";
import type { Evidence, Outcome, Report } from "../../../src/core/messages/report.ts";
import { assignmentSignedText, signedText, statementId } from "../../../src/core/statement.ts";
import { encodeWire } from "../../../src/core/wire.ts";
import type { Job, Service } from "../../../src/ledger/types.ts";
import { until } from "../../bus/until.ts";
import { REGION, SCANNERS, type ScannerName, type World } from "./world.ts";

/** Starts a job on request and returns its id. */
export async function startJob(world: World, planId = "plan-0"): Promise<string> {
  const answer = await world.command("start-job", { planId });
  if (!answer.ok) throw new Error(answer.message);
  return (answer.result as { job: string }).job;
}

/** Next assignment of a scanner with its signature checked. */
export async function claim(world: World, scanner: ScannerName): Promise<{ assignment: Assignment; claim: Claim }> {
  const taken = await until(`work for ${scanner}`, () => world.bus.claim(world.region, scanner, { waitMs: 200 }).catch(() => null));
  const { assignment, keeper, signature } = signedAssignmentSchema.parse(JSON.parse(new TextDecoder().decode(taken.data)));
  if (keeper !== publicKeyOf(world.seeds.keeper) || !verifyText(keeper, assignmentSignedText(assignment), signature))
    throw new Error("unsigned work");
  return { assignment, claim: taken };
}

/** Evidence of a connect run without fault. */
export function goodEvidence(assignment: Assignment, open: number): Evidence {
  const pairs = connectShardPairs(assignment);
  const none = { asked: assignment.canaries.length, answered: assignment.canaries.length };
  return {
    engine: "connect",
    rangesSha256: rangesDigest(assignmentRanges(assignment), sha256Hex),
    ports: assignment.ports,
    shard: assignment.key.shard,
    shardCount: assignment.shardCount,
    pairs,
    open,
    closed: pairs - open,
    filtered: 0,
    errors: 0,
    errorText: null,
    ended: true,
    canariesBefore: none,
    canariesAfter: none,
  };
}

export type Run = {
  readonly assignment: Assignment;
  readonly open?: readonly string[];
  readonly outcome?: Outcome;
  readonly evidence?: Evidence | null;
  /** Who signs; the assignment's scanner by default. */
  readonly as?: ScannerName;
};

/** "192.0.2.1:80" → sighting. */
export function sightingOf(text: string): Sighting {
  const [address = "", port = ""] = text.split(":");
  return { address: parseAddress(address), protocol: "tcp", port: Number(port), observedAtS: 1_700_000_000 };
}

/** First address of the assignment with one of its ports, as "192.0.2.1:80". */
export function firstPair(assignment: Assignment): string {
  const first = assignmentRanges(assignment)[0]?.first ?? 0n;
  return `${formatAddress(first)}:80`;
}

/** What a run says, as wire messages: its part (when it saw something) and its report. */
export function messagesOf(
  world: { readonly seeds: Readonly<Record<ScannerName, string>> },
  { assignment, open = [], outcome = { kind: "complete" }, ...rest }: Run,
): { part: Uint8Array | null; report: Uint8Array } {
  const seed = world.seeds[rest.as ?? (assignment.scanner as ScannerName)];
  const runId = sha256Hex(`${JSON.stringify(assignment.key)} ${rest.as ?? ""} ${Math.random()}`).slice(0, 32);
  const base = { version: 1 as const, key: assignment.key, scanner: assignment.scanner, runId };
  const payload = open.length === 0 ? null : encodeSightings(open.map(sightingOf));
  const part: Statement | null =
    payload === null
      ? null
      : {
          kind: "part",
          content: { ...base, index: 0, sightings: open.length, payloadSha256: sha256Hex(payload), payloadBytes: payload.length },
        };
  const parts = part === null ? [] : [{ id: statementId(part, sha256Hex), sightings: open.length }];
  const evidence = rest.evidence === undefined ? goodEvidence(assignment, open.length) : rest.evidence;
  const content: Report = { ...base, outcome, evidence, parts, sightings: open.length, probesSent: 1, startedAtMs: 1, endedAtMs: 2 };
  return {
    part: part === null ? null : signed(part, { name: assignment.scanner, seed }, payload),
    report: signed({ kind: "report", content }, { name: assignment.scanner, seed }),
  };
}

/** A statement on the wire, signed with any key under any name. */
export function signed(statement: Statement, author: { name: string; seed: string }, payload: Uint8Array | null = null): Uint8Array {
  const signature = signText(author.seed, signedText(statementId(statement, sha256Hex)));
  return encodeWire({ statement, author: { name: author.name, publicKey: publicKeyOf(author.seed), signature } }, payload);
}

/** Sends as a scanner does, once. */
export async function send(bus: Bus, bytes: Uint8Array, region: string = REGION): Promise<SubmitReply> {
  const data = await bus.request(reportsSubject(region), bytes, { timeoutMs: 30_000 });
  return submitReplySchema.parse(JSON.parse(new TextDecoder().decode(data)));
}

/** Runs what a scanner has in the queue, one after the other, until `done`. */
async function work(
  world: World,
  scanner: ScannerName,
  open: (assignment: Assignment) => readonly string[],
  done: () => Promise<boolean>,
): Promise<Assignment[]> {
  const ran: Assignment[] = [];
  while (!(await done())) {
    const taken = await world.bus.claim(world.region, scanner, { waitMs: 50 }).catch(() => null);
    if (taken === null) continue;
    const { assignment } = signedAssignmentSchema.parse(JSON.parse(new TextDecoder().decode(taken.data)));
    const { part, report } = messagesOf(world, { assignment, open: open(assignment) });
    for (const bytes of [part, report]) if (bytes !== null) await send(world.bus, bytes);
    await taken.ack();
    ran.push(assignment);
  }
  return ran;
}

/** Both scanners run everything until the job has ended. */
export async function finish(world: World, job: string, open: (assignment: Assignment) => readonly string[] = () => []): Promise<Job> {
  const ended = async (): Promise<boolean> => (await world.ledger.job(job))?.state !== "running";
  await Promise.all(SCANNERS.map((scanner) => work(world, scanner, open, ended)));
  const row = await world.ledger.job(job);
  if (row === null) throw new Error("no such job");
  return row;
}

export async function services(world: World): Promise<Service[]> {
  return (await world.ledger.listServices({ state: "all" })).items;
}

/** All records of the ledger, oldest first. */
export async function recordKinds(world: World): Promise<string[]> {
  const [rows] = await world.store.database.batch([{ sql: "select kind from record order by rseq" }], "read");
  return (rows ?? []).map((row) => String(row["kind"]));
}

export function beat(world: World, scanner: ScannerName, over: Partial<Heartbeat> = {}): void {
  const beatOf: Heartbeat = {
    scanner,
    region: world.region,
    version: "0.1.0",
    engines: ["connect"],
    masscanVersion: null,
    notReady: null,
    running: null,
    spoolBytes: 0,
    sentAtMs: world.nowMs(),
    ...over,
  };
  world.bus.publish(heartbeatSubject(scanner), new TextEncoder().encode(JSON.stringify(beatOf)));
}

/** Tile facts of a job, for choosing addresses. */
export async function factsOf(world: World, job: string) {
  const spec = await world.ledger.jobSpec(job);
  if (spec === null) throw new Error("no such job");
  return jobFacts(job, spec);
}
