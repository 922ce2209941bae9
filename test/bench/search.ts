import { zstdCompressSync } from "node:zlib";
import { parseFilter, withDefaults } from "../../src/core/filter/filter.ts";
import { formatPorts, parsePorts } from "../../src/core/port.ts";
import { parseRange } from "../../src/core/range.ts";
import { ledgerOn } from "../../src/ledger/ledger.ts";
import type { Database } from "../../src/ledger/database.ts";
import { facetsOf } from "../../src/ledger/search/facets.ts";
import { searchServices } from "../../src/ledger/search/search.ts";
import { FACETS, type SearchContext, type SearchQuery } from "../../src/ledger/search/query.ts";
import { contextAt, itemOf, jobSpecOf, partOf } from "../ledger/builders.ts";
import { startLedgerDatabase } from "../ledger/sqld-ledger.ts";
import type { BenchLine, BenchResult } from "./result.ts";
import { BENCH_PORTS, BENCH_RANGE, benchParts } from "./sightings.ts";

const SERVICES = 1_000_000;
const BUDGET_MS = 50;
const ROUNDS = 7;

/** Filters that differ in what has to be looked at: by index, in a window, and those that match nothing at all. */
const FILTERS = [
  "",
  `port:${BENCH_PORTS[0]}`,
  "port:9",
  `port:${BENCH_PORTS[0]},${BENCH_PORTS[1]}`,
  "proto:udp",
  `net:${BENCH_RANGE}`,
  "group:many",
  "state:missing",
  "state:closed",
  "known:only",
  "known:show state:open,missing,closed",
  "region:eu",
  "region:us",
  "scanner:nobody",
  "seen:>1w",
  "first:<1s",
  "label:stale",
  "label:unmonitored",
  "label:never-covered",
  "change:reopened",
];

/** Pages and facets of a register of a million services on a real sqld: the median of seven, the client's round trip included. */
export async function benchSearch({ services = SERVICES }: { services?: number } = {}): Promise<BenchResult> {
  const server = await startLedgerDatabase();
  try {
    await fill(server.database, services);
    const lines: BenchLine[] = [];
    const deep = await deepCursor(server.database);
    for (const text of FILTERS) {
      const what = text === "" ? "no filter" : text;
      lines.push(await measured(`${what}: first page`, () => searchServices(server.database, contextOf(text))));
      lines.push(await measured(`${what}: deep page`, () => searchServices(server.database, { ...contextOf(text), cursor: deep })));
      for (const facet of FACETS)
        lines.push(await measured(`${what}: facet ${facet}`, () => facetsOf(server.database, contextOf(text), [facet])));
    }
    lines.push(
      await measured("by port: deep page", () => searchServices(server.database, { ...contextOf(""), sort: "port", cursor: deep })),
    );
    return {
      bench: "search",
      lines,
      notes: [`${services.toLocaleString("en")} services; pages of 100; a page looks at 10,000 services at most`],
    };
  } finally {
    await server.stop();
  }
}

async function fill(database: Database, services: number): Promise<void> {
  const ledger = ledgerOn(database, "eu");
  await ledger.ensureLog(() => "a".repeat(32));
  const lease = await ledger.takeLease({ holder: "bench", nowMs: Date.now(), ttlMs: 3_600_000 });
  const context = { ...contextAt(lease?.epoch ?? -1, Date.now()), compress: (bytes: Uint8Array) => zstdCompressSync(bytes) };
  const job = itemOf({
    kind: "job",
    content: jobSpecOf({
      scanners: ["scanner-1"],
      ranges: [BENCH_RANGE],
      ports: formatPorts(parsePorts(BENCH_PORTS.join())),
      pairsMax: Number.MAX_SAFE_INTEGER,
    }),
  });
  await ledger.accept([job], context);
  const key = { job: job.id, tile: 0, shard: 1, attempt: 1 };
  for (const [index, part] of benchParts(services).entries()) await ledger.accept([partOf(key, job.id, index, part)], context);
}

/** Half-way through the register. */
async function deepCursor(database: Database): Promise<string> {
  const [rows] = await database.batch(
    [
      {
        sql: "select lower(hex(ip)) || '.' || port || '.' || proto as cursor from service order by ip, port, proto limit 1 offset (select count(*) / 2 from service)",
      },
    ],
    "read",
  );
  return String(rows?.[0]?.["cursor"]);
}

function contextOf(text: string): SearchContext & Pick<SearchQuery, "limit"> {
  const range = parseRange(BENCH_RANGE);
  // 256 pieces of every 512th address.
  const step = (range.last - range.first + 1n) / 512n;
  const many = Array.from({ length: 256 }, (_, n) => ({
    first: range.first + BigInt(2 * n) * step,
    last: range.first + BigInt(2 * n) * step + step - 1n,
  }));
  return {
    filter: withDefaults(parseFilter(text)),
    groups: new Map([["many", many]]),
    nowMs: Date.now(),
    plans: [{ id: "plan-1", intervalMs: 3_600_000 }],
    limit: 100,
  };
}

async function measured(what: string, work: () => Promise<unknown>): Promise<BenchLine> {
  const times: number[] = [];
  for (let round = 0; round < ROUNDS; round += 1) {
    const began = performance.now();
    await work();
    times.push(performance.now() - began);
  }
  return { what, value: times.toSorted((a, b) => a - b)[Math.floor(ROUNDS / 2)] ?? 0, unit: "ms", budget: { atMost: BUDGET_MS } };
}
