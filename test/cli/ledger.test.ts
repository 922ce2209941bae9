import { createClient } from "@libsql/client/web";
import { afterAll, beforeAll, expect, test } from "vitest";
import { httpDatabase } from "../../src/ledger/database.ts";
import { startTestFacts, type TestFacts } from "../api/facts.ts";
import { TestKeeper } from "../ledger/ledger-test.ts";
import { startTestCli, type TestCli } from "./harness.ts";

let cli: TestCli;
let facts: TestFacts;
beforeAll(async () => {
  [cli, facts] = await Promise.all([startTestCli(), startTestFacts()]);
});
afterAll(async () => {
  await facts?.stop();
  await cli?.close();
});

test("verify replays a ledger's records beside it, says that the register is equal, and finds one service that was tampered with", async () => {
  const database = httpDatabase({ url: facts.sqld.url });
  const keeper = await TestKeeper.on(database);
  await keeper.runJob(["192.0.2.1:80", "192.0.2.2:443"]);
  await keeper.runJob(["192.0.2.1:80"]);
  database.close();
  const command = `ledger verify --ledger-url ${facts.sqld.url}`;
  const equal = await cli.portolan(command);
  expect([equal.exitCode, equal.stderr]).toEqual([0, ""]);
  expect(equal.stdout).toContain("Equal");
  const client = createClient({ url: facts.sqld.url });
  await client.execute("update service set state = 2 where port = 443");
  client.close();
  const different = await cli.portolan(command);
  expect(different.exitCode).toBe(1);
  expect(different.stdout).toMatch(/differs: [0-9a-f]{24}c0000202\/443\/6/);
  expect(different.stderr).toContain("portolan ledger rebuild --yes");
});

test("verify without an address, or where nobody answers, says what to give or check", async () => {
  expect(await cli.portolan("ledger verify")).toMatchObject({ exitCode: 2, stderr: expect.stringContaining("--ledger-url") });
  expect((await cli.portolan("ledger verify --ledger-url http://127.0.0.1:9")).exitCode).toBe(5);
});

test("rebuild asks the keeper only after --yes, and only for administrators", async () => {
  const asked: string[] = [];
  const usual = cli.api.ledger.submitCommand;
  cli.api.ledger.submitCommand = async (kind) => {
    asked.push(kind);
    return "command";
  };
  expect((await cli.portolan("ledger rebuild")).exitCode).toBe(2);
  expect((await cli.portolan("ledger rebuild --yes", { role: "operator" })).exitCode).toBe(3);
  expect(asked).toEqual([]);
  expect((await cli.portolan("ledger rebuild --yes")).exitCode).toBe(0);
  expect(asked).toEqual(["rebuild-ledger"]);
  cli.api.ledger.submitCommand = usual;
});
