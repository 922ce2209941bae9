import { compareKeys, openKeys } from "../lab/truth.ts";
import type { DemoResult } from "./result.ts";
import { runJob, settledRegister, type Stage } from "./stage.ts";

/** Two scanners share one job; the register then has to equal the truth. */
export async function scanPhase(stage: Stage, plan: string): Promise<DemoResult["scan"]> {
  const { playground, say, evidence } = stage;
  await playground.startSeen();
  const { job, shards } = await runJob(stage, plan);
  const truth = openKeys(playground.truth);
  const register = await settledRegister(stage, ({ active }) => active.size >= truth.size);
  const { missed, extra } = compareKeys(truth, register.active);
  const seen = await playground.readSeen();
  const probedTwice = [...seen.packets.values()].filter((count) => count > 1).length;
  const shardsByScanner: Record<string, number> = {};
  for (const { scanner, state } of shards) if (state === "complete") shardsByScanner[scanner] = (shardsByScanner[scanner] ?? 0) + 1;
  await evidence.phase("scan", { truth: playground.truth, seen, services: register.services });
  say.line(
    `found ${truth.size - missed.length} of ${truth.size} open pairs, ${extra.length} that are not open; ` +
      `${seen.packets.size} pairs ${seen.isWhole ? "probed" : "answered"}, ${probedTwice} of them more than once`,
  );
  return {
    expected: truth.size,
    found: truth.size - missed.length,
    missed: missed.length,
    unexpected: extra.length,
    probedTwice,
    tiles: job.tiles.total,
    shardsByScanner,
  };
}
