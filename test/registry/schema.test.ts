import { createClient } from "@libsql/client/web";
import { is } from "drizzle-orm";
import { SQLiteTable, getTableConfig } from "drizzle-orm/sqlite-core";
import { afterAll, beforeAll, expect, test } from "vitest";
import * as schema from "../../src/registry/schema.ts";
import { startTestRegistry, type TestRegistry } from "./harness.ts";

let store: TestRegistry;
let client: ReturnType<typeof createClient>;

beforeAll(async () => {
  store = await startTestRegistry();
  client = createClient({ url: store.sqld.url });
});

afterAll(async () => {
  client?.close();
  await store?.close();
});

const tables = Object.values(schema).flatMap((value: unknown) => (is(value, SQLiteTable) ? [getTableConfig(value)] : []));

test("the migrations make exactly the tables and columns of the schema, all of them STRICT", async () => {
  const made = await client.execute(
    "select name, sql from sqlite_master where type = 'table' and name not like 'sqlite_%' and name not in ('schema_migration', 'libsql_wasm_func_table')",
  );
  expect(new Set(made.rows.map((row) => row["name"]))).toEqual(new Set(tables.map((table) => table.name)));
  for (const row of made.rows) expect(row["sql"]).toMatch(/\) STRICT/);
  for (const table of tables) {
    const columns = await client.execute(
      `select name, upper(type) as type, "notnull" from pragma_table_info('${table.name}') order by name`,
    );
    const wanted = table.columns.map((column) => ({
      name: column.name,
      type: column.getSQLType().toUpperCase(),
      notnull: column.notNull ? 1 : 0,
    }));
    expect(columns.rows.map((row) => ({ ...row }))).toEqual(wanted.toSorted((a, b) => (a.name < b.name ? -1 : 1)));
  }
});

test.each([
  [
    "a range whose end is before its beginning",
    "insert into range values ('g', unhex('ff000000000000000000000000000000'), unhex('00000000000000000000000000000000'), 'x', 'x')",
  ],
  ["an address that is not 16 bytes", "insert into range values ('g', unhex('00'), unhex('00'), 'x', 'x')"],
  ["a second version", "insert into meta values (2, 0, null)"],
  ["a role that does not exist", `insert into token values ('t', 'n', 'root', '${"0".repeat(64)}', 0, null, null, null, null, null)`],
  ["a known-good rule without JSON", "insert into known_good values ('k', '192.0.2.1', null, 'o', 'r', null, 0)"],
  ["a token that is not hashed", "insert into token values ('t', 'n', 'viewer', 'ptl_api_x', 0, null, null, null, null, null)"],
])("the database itself refuses %s", async (_, sql) => {
  await expect(client.execute(sql)).rejects.toThrow(/CHECK/);
});
