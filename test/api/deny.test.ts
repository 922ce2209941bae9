import { afterAll, beforeAll, expect, test } from "vitest";
import type { DenyRow } from "../../src/ledger/denies.ts";
import { startTestCli, type TestCli } from "../cli/harness.ts";

const ID = "d".repeat(64);
const ROW: DenyRow = {
  id: ID,
  ranges: ["192.0.2.17"],
  ports: null,
  reason: "abuse",
  by: "operator",
  atMs: 5,
  expiresAtMs: null,
  lifted: null,
};

let cli: TestCli;
beforeAll(async () => {
  cli = await startTestCli();
});
afterAll(() => cli.close());

test("a deny is asked of this region's keeper, in the words of the token, and answered when it is committed", async () => {
  const { api } = cli;
  const asked: unknown[] = [];
  let row = ROW;
  api.ledger.submitCommand = async (kind, body) => {
    asked.push([kind, body]);
    if (kind === "lift-deny") row = { ...ROW, lifted: { by: "operator", reason: "over", atMs: 9 } };
    return "c";
  };
  api.ledger.awaitCommand = async () => ({ ok: true, result: { deny: ID } });
  api.ledger.deny = async (id) => (id === ID ? row : null);
  api.ledger.listDenies = async () => ({ items: [row], next: null });
  const nowMs = api.store.clock.nowMs;
  const made = await api.ask("POST", "/v1/deny", { role: "operator", body: { ranges: ["192.0.2.17"], reason: "abuse", for: "12h" } });
  expect([made.status, made.headers.get("location")]).toEqual([201, `/v1/deny/${ID}`]);
  expect(await made.json()).toEqual({ ...ROW, inForce: true });
  expect(asked).toEqual([
    ["deny", { ranges: ["192.0.2.17"], ports: null, reason: "abuse", by: "operator", expiresAtMs: nowMs + 43_200_000 }],
  ]);
  expect(await (await api.ask("GET", "/v1/deny?state=in-force", { role: "viewer" })).json()).toEqual({
    items: [{ ...ROW, inForce: true }],
    next_cursor: null,
  });
  const lifted = await api.ask("POST", `/v1/deny/${ID}/lift`, { role: "operator", body: { reason: "over" } });
  expect(await lifted.json()).toMatchObject({ inForce: false, lifted: { reason: "over" } });
  expect(asked.at(-1)).toEqual(["lift-deny", { deny: ID, reason: "over", by: "operator" }]);
  expect((await api.ask("GET", `/v1/deny/${"0".repeat(64)}`)).status).toBe(404);
  expect((await api.ask("POST", "/v1/deny", { body: { ranges: ["192.0.2.17"] } })).status).toBe(400);
  expect((await api.ask("POST", "/v1/deny", { role: "viewer", body: { ranges: ["192.0.2.17"], reason: "x" } })).status).toBe(403);
});

test("by the command line: add, list, and lift by the beginning of the id", async () => {
  const added = await cli.portolan(["deny", "add", "192.0.2.17", "-p", "22", "--reason", "abuse report 4711"]);
  expect([added.exitCode, added.sent]).toEqual([0, ["POST /v1/deny"]]);
  const listed = await cli.portolan("deny ls --json");
  expect(listed.stdout).toContain("192.0.2.17");
  const lifted = await cli.portolan("deny lift dddddddd --reason over");
  expect([lifted.exitCode, lifted.stdout]).toEqual([0, expect.stringContaining("has ended")]);
  expect(await cli.portolan("deny lift abcdef --reason over")).toMatchObject({ exitCode: 4 });
});
