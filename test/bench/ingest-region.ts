import { readFileSync } from "node:fs";
import { z } from "zod";
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
import { startRegion } from "../../src/local/region.ts";
import { BENCH_PORTS, BENCH_RANGE } from "./sightings.ts";

const REGION = "bench";
const SCANNER = "bench";
/** As many as a scanner's daemon sends at one time. */
const IN_FLIGHT = 4;
const REQUEST_TIMEOUT_MS = 60_000;
const CONNECT_TRIES_MAX = 100;

/** A region with real stores, server, keeper and API, and a registered scanner that the bench itself plays. */
export type BenchRegion = {
  /** Starts a job of one tile through the API; gives its id. */
  startJob(plan: string): Promise<string>;
  /** Signed parts of the job's only shard, ready to be sent. */
  messages(job: string, parts: readonly (readonly Sighting[])[], firstIndex: number): Uint8Array[];
  /** Sends them with a few in flight; gives the seconds until the last receipt, and how often the keeper said "later". */
  send(messages: readonly Uint8Array[]): Promise<{ seconds: number; later: number }>;
  keeperMemory(): { residentMb: number; peakMb: number };
  /** Milliseconds of processor time of keeper and ledger so far. */
  processorMs(): { keeper: number; ledger: number };
  longestCommitMs(): Promise<number | null>;
  stop(): Promise<void>;
};

/** Starts everything below `dir`. */
export async function startBenchRegion(dir: string): Promise<BenchRegion> {
  const region = await startRegion({ dir, region: REGION, scanners: [] });
  try {
    const api = openApi(region.apiUrl, region.adminToken);
    const seed = newSeed();
    await api.post("/v1/scanners", { name: SCANNER, region: REGION, addresses: ["127.0.0.1"], publicKey: publicKeyOf(seed) });
    const bus = await connected(region.natsUrl, seed);
    const pidOf = (child: string): number => region.child(child).pid ?? -1;
    return {
      startJob: async (plan) => {
        beat(bus);
        const ports = BENCH_PORTS.join(",");
        const terms = { engine: "masscan", rateLimitPps: 1_000_000, pairsMax: 1_000_000_000, confirm: false, deadline: "1d" };
        await api.post("/v1/plans", { name: plan, ranges: [BENCH_RANGE], ports, ...terms });
        const job = await api.startJob(plan);
        const { tiles } = await api.job(job);
        if (tiles.total !== 1) throw new Error(`the job has ${tiles.total} tiles instead of one`);
        return job;
      },
      messages: (job, parts, firstIndex) => parts.map((part, offset) => partMessage(seed, job, part, firstIndex + offset)),
      send: (messages) => sendAll(bus, messages),
      keeperMemory: () => memoryOf(pidOf("keeper")),
      processorMs: () => ({ keeper: processorMsOf(pidOf("keeper")), ledger: processorMsOf(pidOf("ledger")) }),
      longestCommitMs: () => longestCommitMs(region.layout.daemonConfig("keeper")),
      stop: async () => {
        await bus.close();
        await region.stop();
      },
    };
  } catch (error) {
    await region.stop();
    throw error;
  }
}

/** A sign of life, for which planning waits a few seconds otherwise. */
function beat(bus: Bus): void {
  const heartbeat: Heartbeat = {
    scanner: SCANNER,
    region: REGION,
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

async function sendAll(bus: Bus, messages: readonly Uint8Array[]): Promise<{ seconds: number; later: number }> {
  let next = 0;
  let later = 0;
  const sender = async (): Promise<void> => {
    for (let message = messages[next++]; message !== undefined; message = messages[next++]) {
      while (!(await sendOne(bus, message))) later += 1;
    }
  };
  const began = performance.now();
  await Promise.all(Array.from({ length: IN_FLIGHT }, sender));
  return { seconds: (performance.now() - began) / 1_000, later };
}

async function sendOne(bus: Bus, message: Uint8Array): Promise<boolean> {
  const bytes = await bus.request(reportsSubject(REGION), message, { timeoutMs: REQUEST_TIMEOUT_MS });
  const reply = submitReplySchema.parse(JSON.parse(Buffer.from(bytes).toString("utf8")));
  if (reply.ok) return true;
  if (!reply.retry) throw new Error(`the keeper refuses a part: ${reply.problem}`);
  await new Promise((resolve) => setTimeout(resolve, 10));
  return false;
}

function memoryOf(pid: number): { residentMb: number; peakMb: number } {
  const status = readFileSync(`/proc/${pid}/status`, "utf8");
  const megabytes = (field: string): number => Number(new RegExp(`^${field}:\\s+(\\d+) kB$`, "m").exec(status)?.[1]) / 1_024;
  return { residentMb: megabytes("VmRSS"), peakMb: megabytes("VmHWM") };
}

/** Linux counts in hundredths of a second. */
function processorMsOf(pid: number): number {
  const stat = readFileSync(`/proc/${pid}/stat`, "utf8");
  const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
  return (Number(fields[11]) + Number(fields[12])) * 10;
}

const configSchema = z.object({ healthPort: z.number() });
const healthSchema = z.object({ keeper: z.object({ longestCommitMs: z.number() }) });

/** What the keeper itself says on its health port. */
async function longestCommitMs(configFile: string): Promise<number | null> {
  const { healthPort } = configSchema.parse(JSON.parse(readFileSync(configFile, "utf8")));
  const response = await fetch(`http://127.0.0.1:${healthPort}/readyz`, { signal: AbortSignal.timeout(5_000) });
  const health = healthSchema.safeParse(await response.json());
  return health.success ? health.data.keeper.longestCommitMs : null;
}
