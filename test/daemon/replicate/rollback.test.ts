import { expect, onTestFinished, test } from "vitest";
import { until } from "./patience.ts";
import { OPEN, regionsOfTest } from "./start.ts";
import { finished, startJob, startScanners } from "./work.ts";

const { begin } = regionsOfTest();

test("a ledger that is set back under a working keeper, with its lease as it was, is found out at the next record: its log is not continued", async () => {
  const w = await begin(["eu"]);
  const { eu } = w.regions;
  const scanners = startScanners(w, { s1: "eu", s2: "eu" }, () => OPEN);
  onTestFinished(() => scanners.stop());
  await finished(eu, await startJob(eu));
  const backup = eu.backup();
  const lost = await startJob(eu);
  await finished(eu, lost);
  const [before] = (await eu.ledger.logStands()).filter(({ own }) => own);
  eu.restore(backup);
  await until("a new job begins", () => startJob(eu).catch(() => null));
  const stands = await eu.ledger.logStands();
  expect(before?.log).toBeDefined();
  expect(stands.find(({ log }) => log === before?.log)).toMatchObject({ own: false });
  expect(stands.filter(({ own }) => own)).toHaveLength(1);
}, 120_000);
