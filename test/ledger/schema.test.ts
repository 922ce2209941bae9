import { getTableConfig, type SQLiteTable } from "drizzle-orm/sqlite-core";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { parseRange } from "../../src/core/range.ts";
import type { Sql } from "../../src/ledger/database.ts";
import { WOULD_MISS } from "../../src/ledger/brake.ts";
import { confirmsDueSql } from "../../src/ledger/confirms.ts";
import { CONFIRM } from "../../src/ledger/deferred.ts";
import { CLOSE } from "../../src/ledger/deferred-tile.ts";
import { REASSIGNABLE } from "../../src/ledger/members.ts";
import * as feed from "../../src/ledger/schema/feed.ts";
import * as jobs from "../../src/ledger/schema/jobs.ts";
import * as live from "../../src/ledger/schema/live.ts";
import * as outside from "../../src/ledger/schema/outside.ts";
import * as records from "../../src/ledger/schema/records.ts";
import * as reports from "../../src/ledger/schema/reports.ts";
import * as services from "../../src/ledger/schema/services.ts";
import * as vantage from "../../src/ledger/schema/vantage.ts";
import { servicesSql } from "../../src/ledger/services.ts";
import { SETTLE } from "../../src/ledger/settle.ts";
import { OPEN } from "../../src/ledger/work.ts";
import { startLedgerDatabase } from "./sqld-ledger.ts";

let server: Awaited<ReturnType<typeof startLedgerDatabase>>;

beforeAll(async () => {
  server = await startLedgerDatabase();
});

afterAll(async () => {
  await server.stop();
});

const TABLES: readonly SQLiteTable[] = [records, jobs, reports, services, live, feed, vantage, outside].flatMap(
  (part) => Object.values(part) as SQLiteTable[],
);

async function rows(sql: string): Promise<Record<string, unknown>[]> {
  const [found] = await server.database.batch([{ sql }], "read");
  return (found ?? []).map((row) => ({ ...row }));
}

describe("the schema in TypeScript is the one that the migrations make", () => {
  test("table by table", async () => {
    const made = await rows(
      "select name from sqlite_master where type = 'table' and name not like 'sqlite%' and name not like 'schema_migration' and name not like 'libsql%'",
    );
    expect(new Set(made.map(({ name }) => name))).toEqual(new Set(TABLES.map((table) => getTableConfig(table).name)));
  });

  test.each(TABLES.map((table) => [getTableConfig(table).name, table] as const))(
    "in the columns, keys and indexes of %s",
    async (name, table) => {
      const config = getTableConfig(table);
      const columns = await rows(
        `select name, lower(type) as type, "notnull" as required, pk from pragma_table_info('${name}') order by cid`,
      );
      const keys =
        config.primaryKeys[0]?.columns.map((column) => column.name) ??
        config.columns.filter(({ primary }) => primary).map((column) => column.name);
      expect(columns).toEqual(
        config.columns.map((column) => ({
          name: column.name,
          type: column.getSQLType(),
          required: column.notNull ? 1 : 0,
          pk: keys.indexOf(column.name) + 1,
        })),
      );
      const indexes = await rows(`select name from pragma_index_list('${name}') where origin = 'c' order by name`);
      const unique = config.columns.filter(({ isUnique }) => isUnique).map(({ uniqueName }) => uniqueName);
      expect(new Set(indexes.map((index) => index["name"]))).toEqual(
        new Set([...config.indexes.map((index) => index.config.name), ...unique]),
      );
    },
  );

  test("and every table is STRICT", async () => {
    expect(
      await rows(
        "select name from pragma_table_list where schema = 'main' and type = 'table' and strict = 0 and name not like 'sqlite%' and name not like 'libsql%'",
      ),
    ).toEqual([]);
  });
});

describe("the planner has no choice", () => {
  async function plan({ sql, args = [] }: Sql): Promise<string[]> {
    const [found] = await server.database.batch([{ sql: `explain query plan ${sql}`, args }], "read");
    return (found ?? []).map((row) => String(row["detail"]));
  }

  test("pages of services seek their key and sort nothing", async () => {
    const cursor = `${"0".repeat(32)}.1.6`;
    const range = parseRange("192.0.2.0/24");
    const [first, deep, inRange, port, portDeep, missing, closed] = [
      await plan(servicesSql({}, 101)),
      await plan(servicesSql({ cursor }, 101)),
      await plan(servicesSql({ range, cursor }, 101)),
      await plan(servicesSql({ port: 80 }, 101)),
      await plan(servicesSql({ port: 80, range, cursor }, 101)),
      await plan(servicesSql({ state: "missing" }, 101)),
      await plan(servicesSql({ state: "closed", range }, 101)),
    ];
    expect(first[0]).toBe("SCAN s USING INDEX service_shown");
    expect(deep[0]).toBe("SEARCH s USING INDEX service_shown ((ip,port,proto)>(?,?,?))");
    expect(inRange[0]).toMatch(/^SEARCH s USING INDEX service_shown \(/);
    expect(port[0]).toBe("SEARCH s USING INDEX service_port (port=?)");
    expect(portDeep[0]).toMatch(/^SEARCH s USING INDEX service_port \(port=\? AND /);
    expect(missing[0]).toBe("SCAN s USING INDEX service_missing");
    expect(closed[0]).toBe("SEARCH s USING INDEX service_closed (ip>? AND ip<?)");
    for (const lines of [first, deep, inRange, port, portDeep, missing, closed])
      expect(lines.join("\n")).not.toMatch(/TEMP B-TREE FOR ORDER|SCAN g|SCAN l$/);
  });

  test("a closing pass seeks the tile's ranges, its services and their sightings", async () => {
    const lines = (await plan({ sql: CLOSE, args: ["00", "ff", "00"] })).join("\n");
    expect(lines).toContain("SEARCH s USING PRIMARY KEY (ip>? AND ip<?)");
    expect(lines).toContain("SEARCH a USING PRIMARY KEY (id=?)");
    expect(lines).not.toMatch(/SCAN/);
  });

  test("the brake counts, confirms apply and missing services are asked about by key, whatever the history", async () => {
    const scans = async (statement: Sql): Promise<string[]> =>
      (await plan(statement)).filter(
        (line) => line.startsWith("SCAN") && !/CONSTANT|VIRTUAL|\(subquery|INDEX (?:service_missing|job_running)/.test(line),
      );
    expect(await scans({ sql: WOULD_MISS, args: ["00", 0] })).toEqual([]);
    expect(await scans({ sql: CONFIRM, args: ["00"] })).toEqual([]);
    // Scanners that are lost; and no more missing services than one page has (s), with the chains of each (c).
    expect(new Set(await scans({ sql: REASSIGNABLE, args: ["eu", 9, 5] }))).toEqual(new Set(["SCAN l"]));
    for (const statement of confirmsDueSql("eu", 10)) expect(["SCAN s", "SCAN c"]).toEqual(expect.arrayContaining(await scans(statement)));
  });

  test("a miss finds its verdict by keys alone", async () => {
    const lines = await plan({ sql: "select state from verdict where ip = unhex(?1) and port = ?2 and proto = ?3", args: ["00", 1, 6] });
    expect(lines.filter((line) => line.startsWith("SCAN") && !/^SCAN (?:c|CONSTANT ROW)$/.test(line))).toEqual([]);
    expect(lines.join("\n")).not.toMatch(/AUTOMATIC/);
  });

  test("settling looks at unfinished tiles only", async () => {
    for (const statement of SETTLE) {
      const lines = (await plan(statement)).filter((line) => line.startsWith("SCAN"));
      expect(lines.every((line) => line === "SCAN log" || /^SCAN (tile_complete|probe) USING INDEX \1_todo$/.test(line))).toBe(true);
    }
  });

  test("dispatch reads running jobs and open shards only", async () => {
    const lines = (await plan({ sql: OPEN, args: ["eu", 0, 2, 5] })).join("\n");
    expect(lines).toContain("USING INDEX job_running");
    expect(lines).toContain("assignment_open");
    expect(lines).not.toMatch(/SCAN [abmt]\b/);
  });
});
