import { expect, test } from "vitest";
import { START_REBUILD } from "../../src/ledger/rebuild.ts";
import { projectReport } from "../../src/ledger/project-report.ts";
import { openMemoryDatabase } from "./memory-database.ts";

/** Tables that a rebuild leaves alone: what is not made from records, and what hangs on records as they are. */
const KEPT = [
  "record log signer part_of upload_of revoke_of change unmonitored rule_port rule_range rule_set",
  "keeper peer published rebuild inbox import legacy_job heartbeat progress tile_look",
].flatMap((names) => names.split(" "));

test("a rebuild empties every table that is made from the records, and no other one", () => {
  const { sqlite, close } = openMemoryDatabase();
  const tables = sqlite.prepare("select name from sqlite_master where type = 'table' and name not like 'sqlite%'").pluck().all();
  const emptied = START_REBUILD.flatMap(({ sql }) => /^delete from (\w+)$/.exec(sql)?.[1] ?? []);
  expect([...emptied, ...KEPT].toSorted()).toEqual((tables as string[]).toSorted());
  close();
});

test("nothing that a report does walks through all reports of its signer", () => {
  const { sqlite, close } = openMemoryDatabase();
  const key = { job: "aa".repeat(32), tile: 0, shard: 1, attempt: 1 };
  const times = { startedAtMs: 1, endedAtMs: 2 };
  const report = { version: 1 as const, key, scanner: "s1", runId: "0".repeat(32), outcome: { kind: "complete" as const }, evidence: null };
  const statements = projectReport("bb".repeat(32), { ...report, ...times, probesSent: 0, parts: [], sightings: 0 }, "key", 1);
  const steps = statements.flatMap(({ sql, args = [] }) =>
    sqlite
      .prepare(`explain query plan ${sql}`)
      .all(Object.fromEntries(args.map((value, index) => [String(index + 1), value])))
      .map((row) => String((row as { detail: unknown }).detail)),
  );
  expect(steps.filter((step) => step.includes("report_signer") || /^SCAN (?!json_each)/.test(step))).toEqual([]);
  close();
});
