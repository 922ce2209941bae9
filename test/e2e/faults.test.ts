import { expect, test } from "vitest";
import { runFaults } from "./faults.ts";

// A few schedules here; `npm run faults -- --schedules 50 --from 1` runs as many as one likes, and prints the same result.

const SCHEDULES = Number(process.env["PORTOLAN_FAULTS"] ?? "10");
const FROM = Number(process.env["PORTOLAN_SEED"] ?? "1");
const TIMEOUT_MS = 300_000 + SCHEDULES * 60_000;
const CLEAN = { lost: [], closedWrongly: [], unequal: [], refusedReads: [], refusedReports: [], wrongAtEnd: [] };

const say = (line: string): void => console.log(line);

test(
  `three regions under ${SCHEDULES} schedules of faults from seed ${FROM} lose nothing, close nothing that lives, go on, and agree afterwards`,
  { timeout: TIMEOUT_MS },
  async () => {
    const result = await runFaults({ schedules: SCHEDULES, from: FROM, say });
    say(JSON.stringify(result));
    expect(result).toMatchObject(CLEAN);
  },
);
