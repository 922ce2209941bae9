import { afterAll, beforeAll, expect, test } from "vitest";
import { formatFilter } from "../../src/core/filter/filter.ts";
import type { SearchContext } from "../../src/ledger/search/query.ts";
import { type TestCli, startTestCli } from "./harness.ts";

let cli: TestCli;
beforeAll(async () => {
  cli = await startTestCli();
});
afterAll(() => cli.close());

test("known-good rules are added, listed with their owner and end, and removed", async () => {
  const args = [
    "known",
    "add",
    "192.0.2.10",
    "192.0.2.12/31",
    "-p",
    "443,80",
    "--owner",
    "web team",
    "--reason",
    "public",
    "--expires",
    "90d",
  ];
  const added = await cli.portolan(args);
  expect([added.exitCode, added.stdout]).toEqual([
    0,
    expect.stringMatching(/^Known-good rule \w+: ports 80,443 of 192\.0\.2\.10, 192\.0\.2\.12\/31 may be open/),
  ]);
  const id = /rule (\w+):/.exec(added.stdout)?.[1] ?? "";
  const list = await cli.portolan("known ls");
  expect(list.stdout).toContain("web team");
  expect(list.stdout).toContain("2026-04-01 00:00:00 UTC");
  expect((await cli.portolan(`known rm ${id}`)).exitCode).toBe(0);
  expect((await cli.portolan(`known rm ${id}`)).exitCode).toBe(4);
  expect((await cli.portolan("known ls")).stderr).toContain("portolan known add");
  const moment = await cli.portolan("known add 192.0.2.1 --owner o --reason r --expires 2027-01-31T12:00:00+01:00 --json");
  expect(JSON.parse(moment.stdout)).toMatchObject({ ports: null, expiresAtMs: Date.UTC(2027, 0, 31, 11) });
});

test("a list says how many known-good services it does not show, and not that nothing is open", async () => {
  const { ledger } = cli.api;
  const usual = { ...ledger };
  const isHidden = ({ filter }: SearchContext): boolean => formatFilter(filter).includes("known:hide");
  ledger.search = async (query) => ({ items: isHidden(query) ? [] : (await usual.listServices({})).items, next: null });
  ledger.searchCounts = async (context) => ({
    total: { count: 1, exact: true },
    hiddenKnownGood: { count: isHidden(context) ? 2 : 0, exact: true },
  });
  try {
    const hidden = await cli.portolan("service ls");
    expect([hidden.exitCode, hidden.stdout, hidden.stderr]).toEqual([
      0,
      "",
      "2 known-good services not shown; list them with --known show\n",
    ]);
    const only = await cli.portolan("service ls --known only");
    expect([only.exitCode, only.stderr]).toEqual([0, ""]);
    expect(only.stdout).toContain("443/tcp");
  } finally {
    Object.assign(ledger, usual);
  }
});

test("plan set changes what it names and shows the new revision", async () => {
  expect((await cli.portolan("plan add office --range 192.0.2.0/24 -p 1-1024 --every 6h --no-start")).exitCode).toBe(0);
  const first = await cli.portolan("plan set office --close-after 3 --no-confirm --canary 192.0.2.1:443 --canary [2001:db8::1]:22");
  expect([first.exitCode, first.stdout]).toEqual([0, expect.stringContaining("Plan office, revision 1:")]);
  const shown = await cli.portolan("plan show office");
  expect(shown.stdout).toContain("office, revision 1");
  expect(shown.stdout).toContain("192.0.2.1:443, [2001:db8::1]:22");
  expect(shown.stdout).not.toContain("confirming probe");
  const second = await cli.portolan("plan set office --disabled --confirm --on-request --no-canary --json");
  expect(JSON.parse(second.stdout)).toMatchObject({
    revision: 2,
    enabled: false,
    confirm: true,
    intervalS: null,
    canaries: [],
    closeAfter: 3,
  });
  expect((await cli.portolan("plan set office --enabled --every 12h")).stdout).toContain("every 12 h");
  const made = await cli.portolan("plan add quick --range 198.51.100.0/24 -p 80 --no-confirm --no-start --json");
  expect(JSON.parse(made.stdout)).toMatchObject({ plan: { confirm: false } });
});

test("wrong usage of known and plan set ends with 2, names the remedy, and sends nothing", async () => {
  const wrong: [string, RegExp][] = [
    ["known add 192.0.2.1 --reason r", /--owner/],
    ["known add 192.0.2.1 --owner o", /--reason/],
    ["known add 192.0.2.1/24 --owner o --reason r", /192\.0\.2\.0\/24/],
    ["known add 192.0.2.1 --owner o --reason r --expires soon", /90d/],
    ["exclude add 192.0.2.1/24 --owner o --reason r", /192\.0\.2\.0\/24/],
    ["range add lan 192.0.2.1/24", /192\.0\.2\.0\/24/],
    ["plan set office", /--close-after/],
    ["plan set office --enabled --disabled", /contradict/],
    ["plan set office --every 6h --on-request", /contradict/],
    ["plan set office --canary nowhere", /192\.0\.2\.1:443/],
    ["service ls --known maybe", /hide, show, only/],
  ];
  for (const [args, message] of wrong) {
    const ran = await cli.portolan(args);
    expect([args, ran.exitCode, ran.stdout, ran.sent]).toEqual([args, 2, "", []]);
    expect(ran.stderr).toMatch(message);
  }
});
