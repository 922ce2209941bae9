import { openKeys, pairKey, type LabPair } from "../lab/truth.ts";
import { reopenedKeys, settledRegisters } from "./registers.ts";
import type { DemoResult } from "./result.ts";
import { runJob, type Stage } from "./stage.ts";

/** `closeAfter` complete jobs: exactly the closed ports are shown closed, in every region. */
export async function closePhase(
  stage: Stage,
  plan: { readonly name: string; readonly closeAfter: number },
  closed: readonly LabPair[],
): Promise<DemoResult["close"]> {
  const { playground, say, evidence, sites } = stage;
  for (let job = 1; job <= plan.closeAfter; job += 1) {
    await playground.startSeen();
    await runJob(stage, plan.name);
    say.line(`complete job ${job} of ${plan.closeAfter}`);
    if (job < plan.closeAfter) await evidence.probes("close", `probed-by-job-${job}.json`, playground);
  }
  const expected = new Set(closed.map(pairKey));
  const open = openKeys(playground.truth);
  const registers = await settledRegisters(sites, (now) => [...expected].every((key) => now.closed.has(key)));
  const shown = [...registers.everywhere((one) => one.closed)].filter((key) => expected.has(key)).length;
  const wrongly = [...registers.anywhere((one) => one.closed)].filter((key) => open.has(key) || !expected.has(key)).length;
  await evidence.phase("close", { playground, registers });
  say.line(`${shown} of ${expected.size} closed ports are shown closed in all ${sites.length} regions; wrongly closed in any: ${wrongly}`);
  return { expected: expected.size, closed: shown, closedWrongly: wrongly };
}

/** Ports that open again come back as reopened in every region, and no others in any. */
export async function reopenPhase(stage: Stage, plan: string, opened: readonly LabPair[]): Promise<DemoResult["reopen"]> {
  const { playground, say, evidence, sites } = stage;
  await playground.startSeen();
  await runJob(stage, plan);
  const expected = new Set(opened.map(pairKey));
  const registers = await settledRegisters(sites, ({ active }) => [...expected].every((key) => active.has(key)));
  const right = [...registers.everywhere(reopenedKeys)].filter((key) => expected.has(key)).length;
  const wrong = [...registers.anywhere(reopenedKeys)].filter((key) => !expected.has(key)).length;
  await evidence.phase("reopen", { playground, registers });
  say.line(`${right} of ${expected.size} opened ports came back as reopened in all ${sites.length} regions; ${wrong} others are marked so`);
  // A port that is marked without having been closed and opened counts against the phase.
  return { expected: expected.size, reopened: right - wrong };
}
