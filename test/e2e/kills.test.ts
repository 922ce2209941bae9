import { expect, test } from "vitest";
import { labProblem } from "../../src/local/lab/probe.ts";
import { withLabLock } from "../lab/lock.ts";
import { campaign } from "./campaign.ts";

// A few kills here; `npm run kills -- --count 25` runs as many as one likes, and prints the same result.

const COUNT = Number(process.env["PORTOLAN_KILLS"] ?? "6");
const SEED = Number(process.env["PORTOLAN_SEED"] ?? String(1 + (Date.now() % 1_000_000)));
const TIMEOUT_MS = 600_000 + COUNT * 30_000;
const CLEAN = { lost: [], closedWrongly: [], incomplete: [], wrongAtEnd: [] };

const say = (line: string): void => console.log(line);

test(
  `kill -9 of prober, scanner, keeper, nats-server and sqld loses and closes nothing (seed ${SEED})`,
  { timeout: TIMEOUT_MS },
  async () => {
    expect(await campaign({ engine: "connect", seed: SEED, count: COUNT, say })).toMatchObject(CLEAN);
  },
);

test(`kill -9 of masscan and everything around it loses and closes nothing (seed ${SEED})`, { timeout: TIMEOUT_MS }, async (context) => {
  if (process.env["PORTOLAN_NO_LAB"] === "1") return context.skip("not run: PORTOLAN_NO_LAB=1");
  const problem = await labProblem();
  if (problem !== null) throw new Error(`no lab here: ${problem}. PORTOLAN_NO_LAB=1 leaves the lab tests out.`);
  await withLabLock("tests", async () => {
    expect(await campaign({ engine: "masscan", seed: SEED, count: COUNT, say })).toMatchObject(CLEAN);
  });
});
