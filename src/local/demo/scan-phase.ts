import { compareKeys, openKeys } from "../lab/truth.ts";
import { type LagSample, watchLag } from "./lag.ts";
import { settledRegisters } from "./registers.ts";
import type { DemoResult } from "./result.ts";
import { runJob, type Stage } from "./stage.ts";

/** Six scanners in three regions share one job; each region's register then has to equal the truth. */
export async function scanPhase(stage: Stage, plan: string): Promise<{ readonly scan: DemoResult["scan"]; readonly lags: LagSample[] }> {
  const { playground, say, evidence, sites } = stage;
  await playground.startSeen();
  const lag = watchLag(sites);
  const { job, shards } = await runJob(stage, plan);
  const truth = openKeys(playground.truth);
  const registers = await settledRegisters(sites, ({ active }) => active.size >= truth.size);
  const lags = await lag.stop();
  const { missed } = compareKeys(
    truth,
    registers.everywhere(({ active }) => active),
  );
  const { extra } = compareKeys(
    truth,
    registers.anywhere(({ active }) => active),
  );
  const seen = await playground.readSeen();
  const probedTwice = [...seen.packets.values()].filter((count) => count > 1).length;
  const shardsByScanner: Record<string, number> = {};
  for (const { scanner, state } of shards) if (state === "complete") shardsByScanner[scanner] = (shardsByScanner[scanner] ?? 0) + 1;
  await evidence.phase("scan", { playground, registers });
  await evidence.file("scan", "lag.tsv", lagLines(lags));
  say.line(
    `found ${truth.size - missed.length} of ${truth.size} open pairs in every region, ${extra.length} that are not open; ` +
      `${seen.packets.size} pairs ${seen.isWhole ? "probed" : "answered"}, ${probedTwice} of them more than once`,
  );
  const scan = {
    expected: truth.size,
    found: truth.size - missed.length,
    missed: missed.length,
    unexpected: extra.length,
    probedTwice,
    tiles: job.tiles.total,
    shardsByScanner,
  };
  return { scan, lags };
}

function lagLines(lags: readonly LagSample[]): string {
  const lines = lags.map((one) => [one.record, one.acceptedIn, one.acceptedAtMs, one.shownIn, one.shownAtMs].join("\t"));
  return `${["record\taccepted in\tat ms\tshown in\tat ms", ...lines].join("\n")}\n`;
}
