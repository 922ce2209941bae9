import { zstdCompressSync } from "node:zlib";
import { formatPorts, parsePorts } from "../../src/core/port.ts";
import { ledgerOn } from "../../src/ledger/ledger.ts";
import type { AcceptContext, AcceptItem, Ledger } from "../../src/ledger/types.ts";
import { contextAt, itemOf, jobSpecOf, partOf, reportOf, sha256, tileCompleteOf } from "../ledger/builders.ts";
import { startLedgerDatabase } from "../ledger/sqld-ledger.ts";
import type { BenchResult } from "./result.ts";
import { BENCH_PORTS, BENCH_RANGE, benchParts } from "./sightings.ts";

const SERVICES = 1_000_000;
const BUDGET_S = 5;

/** The closing pass of one complete tile over many open services, on a real sqld: none of them missed, then 30 %, then all of them. */
export async function benchClose({ services = SERVICES }: { services?: number } = {}): Promise<BenchResult> {
  const server = await startLedgerDatabase();
  try {
    const ledger = ledgerOn(server.database, "eu");
    await ledger.ensureLog(() => "a".repeat(32));
    const lease = await ledger.takeLease({ holder: "bench", nowMs: Date.now(), ttlMs: 3_600_000 });
    const context = { ...contextAt(lease?.epoch ?? -1, Date.now()), compress: (bytes: Uint8Array) => zstdCompressSync(bytes) };
    const none = await closingPass(ledger, context, services);
    const some = await closingPass(ledger, context, Math.round(services * 0.7));
    const all = await closingPass(ledger, context, 0);
    return {
      bench: "close",
      lines: [
        { what: "closing pass, none missed", value: none.seconds, unit: "s", budget: { atMost: BUDGET_S } },
        { what: "closing pass, 30 % missed", value: some.seconds, unit: "s", budget: { atMost: BUDGET_S } },
        { what: "closing pass, all missed", value: all.seconds, unit: "s", budget: null },
        { what: "longest window", value: Math.max(none.longestMs, some.longestMs, all.longestMs), unit: "ms", budget: null },
      ],
      notes: [`one tile over ${services.toLocaleString("en")} open services`],
    };
  } finally {
    await server.stop();
  }
}

/** A job over everything whose only shard reports the first `seen` services; its deferred work, window by window. */
async function closingPass(ledger: Ledger, context: AcceptContext, seen: number): Promise<{ seconds: number; longestMs: number }> {
  const spec = jobSpecOf({
    scanners: ["scanner-1"],
    ranges: [BENCH_RANGE],
    ports: formatPorts(parsePorts(BENCH_PORTS.join(","))),
    pairsMax: Number.MAX_SAFE_INTEGER,
    frontier: await ledger.frontier(),
  });
  const job = itemOf({ kind: "job", content: spec });
  await ledger.accept([job], context);
  const key = { job: job.id, tile: 0, shard: 1, attempt: 1 };
  const parts: AcceptItem[] = (seen === 0 ? [] : benchParts(seen)).map((part, index) => partOf(key, job.id, index, part));
  for (const part of parts) await ledger.accept([part], context);
  const report = reportOf({ key, run: job.id, parts });
  await ledger.accept([report], context);
  await ledger.accept([tileCompleteOf(job.id, 0, [report])], context);
  const began = performance.now();
  let longestMs = 0;
  for (let more = true; more;) {
    const beganOne = performance.now();
    more = await ledger.runDeferred({ epoch: context.epoch, sha256 });
    longestMs = Math.max(longestMs, performance.now() - beganOne);
  }
  return { seconds: (performance.now() - began) / 1_000, longestMs };
}
