import { openKeys, pairKey, type LabPair } from "../lab/truth.ts";
import type { DemoResult } from "./result.ts";
import { runJob, settledRegister, type Stage } from "./stage.ts";

/** `closeAfter` complete jobs: exactly the closed ports are shown closed. */
export async function closePhase(
  stage: Stage,
  plan: { readonly name: string; readonly closeAfter: number },
  closed: readonly LabPair[],
): Promise<DemoResult["close"]> {
  const { playground, say, evidence } = stage;
  for (let job = 1; job <= plan.closeAfter; job += 1) {
    await playground.startSeen();
    await runJob(stage, plan.name);
    say.line(`complete job ${job} of ${plan.closeAfter}`);
    if (job < plan.closeAfter) await evidence.file("close", `probed-by-job-${job}.json`, (await playground.readSeen()).raw);
  }
  const expected = closed.map(pairKey);
  const { truth } = playground;
  const open = openKeys(truth);
  const isSettled = (now: { readonly closed: ReadonlySet<string> }): boolean => expected.every((key) => now.closed.has(key));
  const register = await settledRegister(stage, isSettled);
  const shown = expected.filter((key) => register.closed.has(key)).length;
  const wrongly = [...register.closed].filter((key) => open.has(key) || !expected.includes(key)).length;
  await evidence.phase("close", { truth, seen: await playground.readSeen(), services: register.services });
  say.line(`${shown} of ${expected.length} closed ports are shown closed; wrongly closed: ${wrongly}`);
  return { expected: expected.length, closed: shown, closedWrongly: wrongly };
}

/** Ports that open again come back as reopened, and no others. */
export async function reopenPhase(stage: Stage, plan: string, opened: readonly LabPair[]): Promise<DemoResult["reopen"]> {
  const { playground, say, evidence } = stage;
  await playground.startSeen();
  await runJob(stage, plan);
  const expected = new Set(opened.map(pairKey));
  const register = await settledRegister(stage, ({ active }) => [...expected].every((key) => active.has(key)));
  const reopened = register.services.filter((service) => service.state === "open" && service.reopened).map(pairKey);
  const right = reopened.filter((key) => expected.has(key)).length;
  await evidence.phase("reopen", { truth: playground.truth, seen: await playground.readSeen(), services: register.services });
  say.line(`${right} of ${expected.size} opened ports came back as reopened; ${reopened.length - right} others are marked so`);
  // A port that is marked without having been closed and opened counts against the phase.
  return { expected: expected.size, reopened: right - (reopened.length - right) };
}
