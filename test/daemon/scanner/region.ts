import { onTestFinished } from "vitest";
import type { Bus } from "../../../src/bus/bus.ts";
import { newSeed, publicKeyOf, sha256Hex, signText, verifyText } from "../../../src/bus/keys.node.ts";
import { createMemoryServer, type MemoryServer } from "../../../src/bus/memory.ts";
import { assignmentSubject, reportsSubject } from "../../../src/bus/names.ts";
import { decodeSightings, type Sighting } from "../../../src/core/columns.ts";
import type { Heartbeat, Progress, SubmitReply } from "../../../src/core/messages/bus.ts";
import type { Assignment } from "../../../src/core/messages/job.ts";
import type { Probe } from "../../../src/core/messages/probe.ts";
import type { Part, Report } from "../../../src/core/messages/report.ts";
import { assignmentSignedText, signedText, statementId } from "../../../src/core/statement.ts";
import { decodeWire } from "../../../src/core/wire.ts";
import { createScanner, type Scanner } from "../../../scanner-daemon/scanner/scanner.ts";
import type { Launch } from "../../../scanner-daemon/scanner/launch.ts";
import type { ScannerTuning } from "../../../scanner-daemon/scanner/tuning.ts";

/** Seed of the scanner `s1` in these tests. */
const scannerSeed = newSeed();
/** Seed of the keeper that the scanner obeys. */
export const keeperSeed = newSeed();

/** A region with a stand-in for its keeper, which acknowledges what it is sent and keeps it. */
export type Region = {
  readonly server: MemoryServer;
  readonly bus: Bus;
  readonly parts: { readonly id: string; readonly part: Part; readonly sightings: Sighting[] }[];
  readonly reports: { readonly id: string; readonly report: Report }[];
  readonly probes: { readonly id: string; readonly probe: Probe; readonly author: string }[];
  readonly heartbeats: Heartbeat[];
  readonly progress: Progress[];
  /** Replies to take instead of an acknowledgement, first one first; "silent" gives none. */
  readonly replies: (SubmitReply | "silent")[];
  put(assignment: Assignment, change?: { readonly signature?: string; readonly keeper?: string }): Promise<void>;
  queued(): Promise<string[]>;
  scanner(dataDir: string, how: Launch, tuning?: Partial<ScannerTuning>): Scanner;
};

/** Log lines go nowhere. */
const quietLog = { debug: () => {}, info: () => {}, warning: () => {}, error: () => {} };

/** Makes a region in memory. Every part and report that it takes has a right signature and id. */
export async function makeRegion(): Promise<Region> {
  const server = createMemoryServer({ ackWaitMs: 500 });
  const bus = server.connect();
  const region: Region = {
    server,
    bus,
    parts: [],
    reports: [],
    probes: [],
    heartbeats: [],
    progress: [],
    replies: [],
    put: async (assignment, change = {}) => {
      const signature = change.signature ?? signText(keeperSeed, assignmentSignedText(assignment));
      const subject = assignmentSubject("s1", assignment.key);
      const data = Buffer.from(JSON.stringify({ assignment, keeper: change.keeper ?? publicKeyOf(keeperSeed), signature }));
      await bus.enqueue("eu", { subject, data, id: `${subject}.${Math.random()}` });
    },
    queued: () => bus.queued("eu", "shards.s1.>"),
    scanner: (dataDir, how, tuning = {}) => scannerOf(server, dataDir, how, tuning),
  };
  await bus.ensureWorkQueue("eu");
  await bus.ensureClaimer("eu", "s1");
  bus.serve(reportsSubject("eu"), { queue: "keepers", handler: (message) => take(region, message.data) });
  bus.subscribe("heartbeat.*", ({ data }) => void region.heartbeats.push(JSON.parse(Buffer.from(data).toString()) as Heartbeat));
  bus.subscribe("progress.>", ({ data }) => void region.progress.push(JSON.parse(Buffer.from(data).toString()) as Progress));
  return region;
}

async function take(region: Region, data: Uint8Array): Promise<Uint8Array> {
  const { signed, payload } = decodeWire(data);
  const { statement, author } = signed;
  const id = statementId(statement, sha256Hex);
  if (!verifyText(publicKeyOf(scannerSeed), signedText(id), author.signature)) throw new Error("wrong signature");
  const reply = region.replies.shift();
  if (reply === "silent") throw new Error("no reply this time");
  if (reply !== undefined) return Buffer.from(JSON.stringify(reply));
  if (statement.kind === "part") {
    if (payload === null || sha256Hex(payload) !== statement.content.payloadSha256) throw new Error("wrong payload");
    region.parts.push({ id, part: statement.content, sightings: decodeSightings(payload) });
  }
  if (statement.kind === "probe") region.probes.push({ id, probe: statement.content, author: author.name });
  if (statement.kind === "report") region.reports.push({ id, report: statement.content });
  const receipt = { id, log: "0".repeat(32), rseq: region.parts.length + region.reports.length };
  return Buffer.from(JSON.stringify({ ok: true, receipt }));
}

function scannerOf(server: MemoryServer, dataDir: string, how: Launch, tuning: Partial<ScannerTuning>): Scanner {
  const scanner = createScanner({
    config: {
      name: "s1",
      region: "eu",
      dataDir,
      launcher: how.launcher,
      labMode: false,
      tools: how.tools,
      keeperPublicKeys: [publicKeyOf(keeperSeed)],
    },
    bus: server.connect(),
    keys: { seed: scannerSeed },
    clock: { nowMs: () => Date.now() },
    log: quietLog,
    tuning: {
      heartbeatMs: 50,
      claimWaitMs: 200,
      sealEveryMs: 100,
      sender: { requestTimeoutMs: 3_000, backoffFirstMs: 10, backoffMaxMs: 50 },
      run: { pokeEveryMs: 100, killAfterMs: 200 },
      ...tuning,
    },
  });
  onTestFinished(() => scanner.stop());
  return scanner;
}
