import { expect, test } from "vitest";
import { createConfirmState, keyOfTarget } from "../../../scanner-daemon/keeper/confirm-state.ts";

const JOB = "a".repeat(64);
const keyOf = (index: number): string => keyOfTarget({ address: `192.0.2.${index}`, protocol: "tcp", port: 80, job: JOB });
const FULL = 5_000;
const MINUTE_MS = 60_000;

function stateAt(): { state: ReturnType<typeof createConfirmState>; clock: { ms: number } } {
  const clock = { ms: 0 };
  return { state: createConfirmState(() => clock.ms), clock };
}

test("what is asked in vain is remembered, however many others wait, and gives way to them after half an hour", () => {
  const { state, clock } = stateAt();
  for (let index = 0; index < FULL; index += 1) state.ask(keyOf(index), "s1", "connect");
  for (let minute = 1; minute <= 30; minute += 1) {
    expect([state.isFull(keyOf(FULL)), state.isFull(keyOf(0))]).toEqual([true, false]);
    expect(state.asked(keyOf(0)).get("s1")?.tries).toBe(minute);
    clock.ms += MINUTE_MS;
    state.outstanding();
    if (minute < 30) for (let index = 0; index < FULL; index += 1) state.ask(keyOf(index), "s1", "connect");
  }
  expect(state.isFull(keyOf(FULL))).toBe(false);
});

test("what was answered is not asked again for a moment, and then leaves its place", () => {
  const { state, clock } = stateAt();
  for (let index = 0; index < FULL; index += 1) {
    state.ask(keyOf(index), "s1", "connect");
    state.answered(keyOf(index), "s1");
  }
  expect([state.outstanding(), state.mayAsk(keyOf(0), "s1"), state.isFull(keyOf(FULL))]).toEqual([0, false, true]);
  clock.ms += MINUTE_MS;
  expect([state.outstanding(), state.mayAsk(keyOf(0), "s1"), state.isFull(keyOf(FULL))]).toEqual([0, true, false]);
});
