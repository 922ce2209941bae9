import { readFileSync } from "node:fs";
import { zstdCompressSync } from "node:zlib";
import { parseFilter, withDefaults } from "../../src/core/filter/filter.ts";
import { formatPorts, parsePorts } from "../../src/core/port.ts";
import { ledgerOn } from "../../src/ledger/ledger.ts";
import { searchSql } from "../../src/ledger/search/search.ts";
import { contextAt, itemOf, jobSpecOf, partOf, reportOf, sha256, tileCompleteOf } from "../ledger/builders.ts";
import { type LedgerServer, startLedgerDatabase } from "../ledger/sqld-ledger.ts";
import { startTestRegistry } from "../registry/harness.ts";
import { type Environment, type Server, startDeno, startNode, startWorkerd } from "../runtimes/servers.ts";
import { type Load, load } from "./load.ts";
import type { BenchLine, BenchResult } from "./result.ts";
import { BENCH_PORTS, BENCH_RANGE, benchParts } from "./sightings.ts";

const SERVICES = 1_000_000;
const LIST = "/v1/services?limit=100";
const ROUNDS = 4;
const HOT = { forMs: 2_000, connections: 8, depth: 1 };
const COLD = { forMs: 1_200, connections: 1, depth: 1 };

type Start = (environment: Environment, entry?: string) => Promise<Server>;
const RUNTIMES: readonly { readonly name: string; readonly start: Start; readonly hello: string }[] = [
  { name: "Node", start: startNode, hello: "test/bench/hello/node.ts" },
  { name: "Deno", start: startDeno, hello: "test/bench/hello/deno.ts" },
  { name: "workerd", start: startWorkerd, hello: "test/bench/hello/cloudflare.ts" },
];

/** A page of 100 services out of a million through the API: from the cache against a greeting, and cold against the bare query. */
export async function benchHotList({ services = SERVICES }: { services?: number } = {}): Promise<BenchResult> {
  const ledger = await startLedgerDatabase();
  const store = await startTestRegistry();
  try {
    await fillRegister(ledger, services);
    store.clock.nowMs = Date.now();
    await store.registry.addRegion("eu");
    const token = (await store.registry.tokens.issue({ name: "bench", role: "viewer", expiresAtMs: null })).text;
    const environment = {
      PORTOLAN_REGION: "eu",
      PORTOLAN_REGISTRY_URL: store.sqld.url,
      PORTOLAN_LEDGER_URL: ledger.url,
      BARE_URL: ledger.url,
      BARE_BODY: bareBody(),
    };
    const lines: BenchLine[] = [];
    for (const runtime of RUNTIMES) lines.push(...(await benchRuntime(runtime, environment, token)));
    return {
      bench: "hot-list",
      lines,
      notes: [`${services.toLocaleString("en")} services, pages of 100; medians of ${ROUNDS} rounds, each of them hello, hot, bare, cold`],
    };
  } finally {
    await store.close();
    await ledger.stop();
  }
}

async function benchRuntime(
  { name, start, hello }: (typeof RUNTIMES)[number],
  environment: Environment,
  token: string,
): Promise<BenchLine[]> {
  const servers: Server[] = [];
  try {
    const greeter = await start(environment, hello);
    servers.push(greeter);
    const api = await start(environment);
    servers.push(api);
    // As browsers and every other client ask.
    const headers = { authorization: `Bearer ${token}`, "accept-encoding": "gzip, deflate" };
    const cold = { ...headers, "cache-control": "no-cache" };
    const found = { hello: [] as number[], hot: [] as number[], bare: [] as number[], cold: [] as number[] };
    // The first round only warms up.
    for (let round = 0; round <= ROUNDS; round++) {
      const greeting = await perCpuSecond(greeter, () => load({ ...HOT, url: `${greeter.url}/`, headers }));
      const listed = await perCpuSecond(api, () => load({ ...HOT, url: `${api.url}${LIST}`, headers }));
      const bare = await load({ ...COLD, url: `${greeter.url}/bare` });
      const slow = await load({ ...COLD, url: `${api.url}${LIST}`, headers: cold });
      if (round === 0) continue;
      found.hello.push(greeting);
      found.hot.push(listed);
      found.bare.push(1_000 / bare.perSecond);
      found.cold.push(1_000 / slow.perSecond);
    }
    const [greeted, hot, bare, slow] = [median(found.hello), median(found.hot), median(found.bare), median(found.cold)];
    return [
      { what: `${name}: hot list against hello (requests)`, value: hot / greeted, unit: "×", budget: { atLeast: 0.8 } },
      { what: `${name}: cold list against the bare query (time)`, value: slow / bare, unit: "×", budget: { atMost: 1.25 } },
      { what: `${name}: hello, requests per second of processor`, value: greeted, unit: "", budget: null },
      { what: `${name}: hot list, requests per second of processor`, value: hot, unit: "", budget: null },
      { what: `${name}: bare query`, value: bare, unit: "ms", budget: null },
      { what: `${name}: cold list`, value: slow, unit: "ms", budget: null },
    ];
  } finally {
    for (const server of servers) await server.stop();
  }
}

/** How many requests a second of the server's processor time serves: what a client costs, or others on the machine, does not count. */
async function perCpuSecond({ pid }: Server, run: () => Promise<Load>): Promise<number> {
  const before = cpuSeconds(pid);
  const { requests } = await run();
  return requests / (cpuSeconds(pid) - before);
}

/** User and system time of a process with all its threads; Linux counts it in hundredths of a second. */
function cpuSeconds(pid: number): number {
  const fields = readFileSync(`/proc/${pid}/stat`, "utf8")
    .replace(/^.*\) /, "")
    .split(" ");
  return (Number(fields[11]) + Number(fields[12])) / 100;
}

/** The list's own statement as the API asks it, in the form in which sqld takes it. */
function bareBody(): string {
  const filter = withDefaults(parseFilter(""));
  const [page] = searchSql({ filter, groups: new Map(), nowMs: Date.now(), plans: [] }, 100).statements;
  const { sql = "", args = [] } = page ?? {};
  const values = args.map((value) =>
    typeof value === "number" ? { type: "integer", value: String(value) } : { type: "text", value: String(value) },
  );
  return JSON.stringify({ requests: [{ type: "execute", stmt: { sql, args: values } }, { type: "close" }] });
}

/** One job over everything, whose only shard saw all services. */
export async function fillRegister(server: LedgerServer, services: number): Promise<void> {
  const ledger = ledgerOn(server.database, "eu");
  await ledger.ensureLog(() => "a".repeat(32));
  const lease = await ledger.takeLease({ holder: "bench", nowMs: Date.now(), ttlMs: 3_600_000 });
  const context = { ...contextAt(lease?.epoch ?? -1, Date.now()), compress: (bytes: Uint8Array) => zstdCompressSync(bytes) };
  const ports = formatPorts(parsePorts(BENCH_PORTS.join(",")));
  const job = itemOf({
    kind: "job",
    content: jobSpecOf({ scanners: ["scanner-1"], ranges: [BENCH_RANGE], ports, pairsMax: Number.MAX_SAFE_INTEGER }),
  });
  await ledger.accept([job], context);
  const key = { job: job.id, tile: 0, shard: 1, attempt: 1 };
  const parts = benchParts(services).map((part, index) => partOf(key, job.id, index, part));
  for (const part of parts) await ledger.accept([part], context);
  const report = reportOf({ key, run: job.id, parts });
  await ledger.accept([report], context);
  await ledger.accept([tileCompleteOf(job.id, 0, [report])], context);
  while (await ledger.runDeferred({ epoch: context.epoch, sha256 }));
}

function median(values: readonly number[]): number {
  return values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)] ?? Number.NaN;
}
