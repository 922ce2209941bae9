import { readFileSync, readdirSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { describe, expect, test } from "vitest";
import { acceptanceKiller } from "./acceptance.ts";
import { confirmationKiller } from "./confirmation.ts";
import { MUTANTS } from "./list.ts";
import { logKiller } from "./log.ts";
import { tilesKiller } from "./tiles.ts";

const ROOT = fileURLToPath(new URL("../../", import.meta.url));
const asItIs = (sql: string): string => sql;

// What `npm run mutants` lets loose on mistakes must find nothing in the product as it is.
describe("acceptance under the weakest policy", () => {
  test("I15 a message with one fault, or by any other key than that of the scanner it was assigned to, closes nothing", async () => {
    expect(await acceptanceKiller(asItIs)).toBeNull();
  });

  test("I15 a probe with one fault, or by another scanner than the ordered one, confirms nothing", async () => {
    expect(await confirmationKiller(asItIs)).toBeNull();
  });

  test("I12 a log is dense and chained, has each record once and no position twice; I17 its prefix has no holes", async () => {
    expect(await logKiller(asItIs)).toBeNull();
  });

  test("I16 tiles and shards hold each pair of the target set exactly once", async () => {
    expect(await tilesKiller(asItIs)).toBeNull();
  });
});

describe("the list of mistakes", () => {
  const ledgerDir = `${ROOT}src/ledger/`;
  const migrationsDir = `${ROOT}migrations/ledger/`;
  const sql = [
    ...readdirSync(ledgerDir)
      .filter((name) => name.endsWith(".ts"))
      .map((name) => readFileSync(ledgerDir + name, "utf8")),
    ...readdirSync(migrationsDir)
      .filter((name) => name.endsWith(".sql"))
      .map((name) => readFileSync(migrationsDir + name, "utf8")),
  ].join("\n");

  test("has each of them once", () => {
    expect(new Set(MUTANTS.map(({ name }) => name)).size).toBe(MUTANTS.length);
    expect(MUTANTS.length).toBeGreaterThanOrEqual(15);
  });

  test.each(MUTANTS.filter(({ file }) => file !== null).map(({ name, file, from }) => [name, file ?? "", from]))(
    "fits: %s",
    (_, file, from) => {
      expect(readFileSync(ROOT + file, "utf8").includes(from)).toBe(true);
    },
  );

  // Conditions that stand in constants are put together at run time: those are looked for when the mutant runs.
  test.each(MUTANTS.filter(({ file, from }) => file === null && !from.includes(" <= s.port")).map(({ name, from }) => [name, from]))(
    "fits: %s",
    (_, from) => {
      expect(sql.includes(from)).toBe(true);
    },
  );
});
