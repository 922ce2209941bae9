import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type Database, httpDatabase } from "../../src/ledger/database.ts";
import { migrate } from "../../src/local/migrate.ts";
import { type Sqld, startSqld } from "../../src/local/sqld.ts";

const dir = mkdtempSync(join(tmpdir(), "portolan-sqld-"));
let sqld: Sqld;
let database: Database;

beforeAll(async () => {
  sqld = await startSqld({ dir: join(dir, "data") });
  database = httpDatabase({ url: sqld.url });
});

afterAll(async () => {
  await sqld.stop();
  rmSync(dir, { recursive: true, force: true });
});

async function synchronous(): Promise<unknown> {
  const [rows] = await database.batch([{ sql: "pragma synchronous" }], "read");
  return rows?.[0]?.["synchronous"];
}

describe("sqld as a child process", () => {
  test("commits durably after every start, also after a crash", async () => {
    expect(await synchronous()).toBe(2);
    const httpPort = Number(new URL(sqld.url).port);
    expect(await sqld.kill9()).toEqual({ code: null, signal: "SIGKILL" });
    await expect(database.batch([{ sql: "select 1" }], "read")).rejects.toMatchObject({ code: "unavailable" });
    sqld = await startSqld({ dir: join(dir, "data"), httpPort });
    expect(await synchronous()).toBe(2);
  });

  test("says in its own words why it does not start", async () => {
    const taken = createServer();
    await new Promise<void>((resolve) => taken.listen(0, "127.0.0.1", resolve));
    const address = taken.address();
    const httpPort = typeof address === "object" && address !== null ? address.port : 0;
    const start = startSqld({ dir: join(dir, "other"), httpPort, adminPort: httpPort, readyTimeoutMs: 3_000 });
    await expect(start).rejects.toMatchObject({ code: "unavailable", message: expect.stringMatching(/did not start.*in use/s) });
    taken.close();
  });
});

describe("migrations", () => {
  const folder = join(dir, "migrations");
  const write = (name: string, sql: string): void => writeFileSync(join(folder, name), sql);
  const run = (): Promise<string[]> => migrate({ url: sqld.url, folder });

  beforeAll(() => {
    mkdirSync(folder);
    write("0000_first.sql", "create table a(x integer) strict;\ncreate trigger t after insert on a begin delete from a where x < 0; end;");
  });

  test("are applied once, also by two processes at a time", async () => {
    const applied = await Promise.all([run(), run()]);
    expect(applied.flat()).toEqual(["0000_first.sql"]);
    expect(await run()).toEqual([]);
  });

  test("that fail leave nothing behind and can be mended", async () => {
    write("0001_second.sql", "create table b(x integer) strict; create table a(x integer) strict;");
    await expect(run()).rejects.toThrow(/0001_second.sql failed.*already exists/);
    write("0001_second.sql", "create table b(x integer) strict;");
    expect(await run()).toEqual(["0001_second.sql"]);
  });

  test("that were changed after they had been applied are refused", async () => {
    write("0001_second.sql", "create table b(x integer, y integer) strict;");
    await expect(run()).rejects.toMatchObject({ code: "conflict", message: expect.stringContaining("0001_second.sql was changed") });
  });

  test("of a newer version are not touched by an older one", async () => {
    rmSync(join(folder, "0001_second.sql"));
    await expect(run()).rejects.toMatchObject({ code: "conflict", message: expect.stringContaining("newer version") });
  });
});
