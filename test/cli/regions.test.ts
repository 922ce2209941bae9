import { afterAll, beforeAll, expect, test } from "vitest";
import { formatFilter } from "../../src/core/filter/filter.ts";
import { publicKey } from "../registry/harness.ts";
import { type TestCli, startTestCli } from "./harness.ts";

let cli: TestCli;
beforeAll(async () => {
  cli = await startTestCli();
});
afterAll(() => cli.close());

test("a region is added, changed, shown, and retired; removing asks for --force where work would end", async () => {
  const added = await cli.portolan([
    "region",
    "add",
    "us",
    "--nats",
    "tls://nats.us.example:4222",
    "--at",
    "-39.04,-77.49",
    "--key",
    publicKey(20),
  ]);
  expect([added.exitCode, added.stderr]).toEqual([0, ""]);
  expect(added.stdout).toContain("Place: -39.04, -77.49");
  const changed = await cli.portolan("region set us --api https://us.example --json");
  expect(JSON.parse(changed.stdout)).toMatchObject({
    name: "us",
    apiUrl: "https://us.example",
    latitude: -39.04,
    keeperPublicKeys: [publicKey(20)],
  });
  const listed = await cli.portolan("region ls");
  expect(listed.stdout).toMatch(/eu +active +1 +answers here/);
  expect(listed.stdout).toMatch(/us +active +0 +https:\/\/us\.example/);
  await cli.api.store.registry.addScanner({ name: "us01", region: "us", addresses: ["198.51.100.7"], publicKey: publicKey(7) });
  const refused = await cli.portolan("region remove us");
  expect(refused.exitCode).not.toBe(0);
  expect(refused.stderr).toMatch(/"us01".*--force/);
  const retired = await cli.portolan("region remove us --force");
  expect([retired.exitCode, retired.stdout]).toEqual([0, expect.stringContaining("portolan region add us")]);
  expect(JSON.parse((await cli.portolan("region show us --json")).stdout)).toMatchObject({ state: "retired", scanners: 0, logs: [] });
});

test("status tells contact, lag and alarms, and ends with 1 when there is an alarm", async () => {
  expect((await cli.portolan("region status")).exitCode).toBe(0);
  const usual = cli.api.ledger.peers;
  const { nowMs } = cli.api.store.clock;
  cli.api.ledger.peers = async () => [
    { region: "us", checkpoint: 1, contactMs: nowMs - 5_000, behind: 12, equalAtMs: null, alarm: "us differs; rebuild it" },
  ];
  try {
    const status = await cli.portolan("region status");
    expect(status.exitCode).toBe(1);
    expect(status.stdout).toMatch(/us .* 12 +never +us differs; rebuild it/);
    expect((await cli.portolan("region show us")).stdout).toContain("Alarm: us differs; rebuild it");
  } finally {
    cli.api.ledger.peers = usual;
  }
});

test("a plan takes its homes in order, and how long to wait", async () => {
  await cli.portolan("region add ap");
  const added = await cli.portolan("plan add office --range 192.0.2.0/24 -p 80 --home eu --home ap --takeover-after 10m --no-start --json");
  expect(JSON.parse(added.stdout)).toMatchObject({ plan: { home: "eu", homes: ["eu", "ap"], takeoverAfterS: 600 } });
  expect((await cli.portolan("plan show office")).stdout).toContain("eu, then ap (after 10 min of silence)");
  const set = await cli.portolan("plan set office --home ap --takeover-after 20m --json");
  expect(JSON.parse(set.stdout)).toMatchObject({ home: "ap", homes: ["ap"], takeoverAfterS: 1_200 });
});

test("disagreements are listed by a flag, and a host shows who saw what", async () => {
  const asked: unknown[] = [];
  const { ledger } = cli.api;
  const [usualList, usualVantages] = [ledger.search, ledger.vantages];
  ledger.search = async (query) => {
    asked.push(...query.filter.terms.filter(({ key }) => key === "vantage").map((term) => formatFilter({ terms: [term] })));
    return usualList(query);
  };
  ledger.vantages = async (services) =>
    services.map(() => [
      { region: "eu", says: "open", lastSeenMs: 1_700_000_000_000, missed: null },
      { region: "us", says: "silent", lastSeenMs: null, missed: { atMs: 1_700_000_500_000, by: "look", job: "ab".repeat(32) } },
    ]);
  try {
    expect((await cli.portolan("service ls --vantage disagree")).exitCode).toBe(0);
    expect(asked).toEqual(["vantage:disagree"]);
    expect((await cli.portolan("service ls --vantage all")).exitCode).toBe(2);
    const host = await cli.portolan("host show 192.0.2.1");
    expect(host.stderr).toMatch(/443\/tcp from us: never seen, missed by a complete look at 2023-11-14/);
    expect(JSON.parse((await cli.portolan("host show 192.0.2.1 --json")).stdout)).toMatchObject({
      services: [{ vantages: [{ region: "eu" }, { region: "us" }] }],
    });
  } finally {
    [ledger.search, ledger.vantages] = [usualList, usualVantages];
  }
});
