import type { Bus } from "../../src/bus/bus.ts";
import { newSeed, publicKeyOf, sha256Hex, signText } from "../../src/bus/keys.node.ts";
import { connectNats } from "../../src/bus/nats.ts";
import { heartbeatSubject, reportsSubject } from "../../src/bus/names.ts";
import { encodeSightings, type Sighting } from "../../src/core/columns.ts";
import { type Heartbeat, submitReplySchema } from "../../src/core/messages/bus.ts";
import type { Statement } from "../../src/core/messages/record.ts";
import { signedText, statementId } from "../../src/core/statement.ts";
import { encodeWire } from "../../src/core/wire.ts";
import { openApi } from "../../src/local/demo/api.ts";
import type { Region } from "../../src/local/region.ts";
import { BENCH_PORTS, BENCH_RANGE } from "./sightings.ts";

const SCANNER = "bench";
/** As many as a scanner's daemon sends at one time. */
const IN_FLIGHT = 4;
const REQUEST_TIMEOUT_MS = 60_000;
const CONNECT_TRIES_MAX = 100;

/** A registered scanner of a region that the bench itself plays. */
export type BenchScanner = {
  /** Starts a job of one tile through the API; gives its id. */
  startJob(plan: string): Promise<string>;
  /** Signed parts of the job's only shard, ready to be sent. */
  messages(job: string, parts: readonly (readonly Sighting[])[], firstIndex: number): Uint8Array[];
  /** Sends them with a few in flight; gives the seconds until the last receipt, and how often the keeper said "later". */
  send(messages: readonly Uint8Array[], inFlight?: number): Promise<{ seconds: number; later: number }>;
  close(): Promise<void>;
};

/** Registers it and connects it to the region's message server. */
export async function playScanner(region: Region): Promise<BenchScanner> {
  const api = openApi(region.apiUrl, region.adminToken);
  const seed = newSeed();
  await api.post("/v1/scanners", { name: SCANNER, region: region.name, addresses: ["127.0.0.1"], publicKey: publicKeyOf(seed) });
  const bus = await connected(region.natsUrl, seed);
  return {
    startJob: async (plan) => {
      beat(bus, region.name);
      const ports = BENCH_PORTS.join(",");
      const terms = { engine: "masscan", rateLimitPps: 1_000_000, pairsMax: 1_000_000_000, confirm: false, deadline: "1d" };
      await api.post("/v1/plans", { name: plan, ranges: [BENCH_RANGE], ports, ...terms });
      const job = await api.startJob(plan);
      const { tiles } = await api.job(job);
      if (tiles.total !== 1) throw new Error(`the job has ${tiles.total} tiles instead of one`);
      return job;
    },
    messages: (job, parts, firstIndex) => parts.map((part, offset) => partMessage(seed, job, part, firstIndex + offset)),
    send: (messages, inFlight = IN_FLIGHT) => sendAll(bus, region.name, messages, inFlight),
    close: () => bus.close(),
  };
}

/** A sign of life, for which planning waits a few seconds otherwise. */
function beat(bus: Bus, region: string): void {
  const heartbeat: Heartbeat = {
    scanner: SCANNER,
    region,
    version: "bench",
    engines: ["masscan"],
    masscanVersion: "1.3.2",
    notReady: null,
    running: null,
    spoolBytes: 0,
    sentAtMs: Date.now(),
  };
  bus.publish(heartbeatSubject(SCANNER), Buffer.from(JSON.stringify(heartbeat), "utf8"));
}

/** The server learns of a new scanner within a second or two. */
async function connected(url: string, seed: string): Promise<Bus> {
  for (let tries = 1; ; tries += 1) {
    try {
      return await connectNats({ url, client: SCANNER, seed });
    } catch (error) {
      if (tries >= CONNECT_TRIES_MAX) throw error;
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
  }
}

function partMessage(seed: string, job: string, part: readonly Sighting[], index: number): Uint8Array {
  const payload = encodeSightings(part);
  const statement: Statement = {
    kind: "part",
    content: {
      version: 1,
      key: { job, tile: 0, shard: 1, attempt: 1 },
      scanner: SCANNER,
      runId: job.slice(0, 32),
      index,
      sightings: part.length,
      payloadSha256: sha256Hex(payload),
      payloadBytes: payload.length,
    },
  };
  const signature = signText(seed, signedText(statementId(statement, sha256Hex)));
  return encodeWire({ statement, author: { name: SCANNER, publicKey: publicKeyOf(seed), signature } }, payload);
}

async function sendAll(
  bus: Bus,
  region: string,
  messages: readonly Uint8Array[],
  inFlight: number,
): Promise<{ seconds: number; later: number }> {
  let next = 0;
  let later = 0;
  const sender = async (): Promise<void> => {
    for (let message = messages[next++]; message !== undefined; message = messages[next++]) {
      while (!(await sendOne(bus, region, message))) later += 1;
    }
  };
  const began = performance.now();
  await Promise.all(Array.from({ length: inFlight }, sender));
  return { seconds: (performance.now() - began) / 1_000, later };
}

async function sendOne(bus: Bus, region: string, message: Uint8Array): Promise<boolean> {
  const bytes = await bus.request(reportsSubject(region), message, { timeoutMs: REQUEST_TIMEOUT_MS });
  const reply = submitReplySchema.parse(JSON.parse(Buffer.from(bytes).toString("utf8")));
  if (reply.ok) return true;
  if (!reply.retry) throw new Error(`the keeper refuses a part: ${reply.problem}`);
  await new Promise((resolve) => setTimeout(resolve, 10));
  return false;
}
