import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createLab } from "../../src/local/lab/lab.ts";
import { createLoopback } from "../../src/local/lab/loopback.ts";
import { uniqueLabName } from "../../src/local/lab/probe.ts";
import { type KillResult, runKills, type Victim } from "./kills.ts";

/** Which campaign: the engine decides whether the targets are loopback listeners or the lab of namespaces. */
export type CampaignInput = {
  readonly engine: "connect" | "masscan";
  readonly seed: number;
  readonly count: number;
  readonly victims?: readonly Victim[];
  readonly say: (line: string) => void;
};

/** Builds targets, runs the kills, removes everything again. */
export async function campaign({ engine, seed, count, say, victims }: CampaignInput): Promise<KillResult> {
  const dir = await mkdtemp(join(tmpdir(), "portolan-kills-"));
  const playground =
    engine === "connect"
      ? await createLoopback({ seed, scanners: 2, prefix4: 24, open4: 150, open6: 0, portCount: 8 })
      : await createLab({ name: uniqueLabName("k"), seed, scanners: 2, prefix4: 22, prefix6: 124, open4: 300, filtered4: 300, open6: 10 });
  const plan = engine === "connect" ? { rateLimitPps: 120, pairsMax: 150 } : { rateLimitPps: 1_500, pairsMax: 5_000 };
  try {
    return await runKills({
      seed,
      count,
      engine,
      dir: join(dir, "data"),
      playground,
      plan,
      closing: 20,
      say,
      ...(victims === undefined ? {} : { victims }),
    });
  } finally {
    await playground.destroy();
    await rm(dir, { recursive: true, force: true });
  }
}

/** Whether nothing acknowledged was lost, nothing was closed wrongly, and every job ended complete. */
export function holds(result: KillResult): boolean {
  return [result.lost, result.closedWrongly, result.incomplete, result.wrongAtEnd].every((list) => list.length === 0);
}
