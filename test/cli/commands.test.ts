import { existsSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { JOB, JOB_ID, SERVICE } from "../api/harness.ts";
import { type TestCli, startTestCli } from "./harness.ts";

let cli: TestCli;
beforeAll(async () => {
  cli = await startTestCli();
});
afterAll(() => cli.close());

function jsonOf(text: string): Record<string, unknown> {
  return JSON.parse(text) as Record<string, unknown>;
}

test("one command makes a plan with its own ranges, starts its first job, and tells the next command", async () => {
  const ran = await cli.portolan("plan add office --range 192.0.2.0/24 -p 1-1024 --every 6h", {
    env: { PORTOLAN_CALLED_AS: "npx portolan" },
  });
  expect(ran.stderr).toBe(`Follow it with: npx portolan job watch ${JOB_ID.slice(0, 12)}\n`);
  expect(ran.stdout).toContain("262\u202f144 pairs");
  expect(ran.stdout).toContain("every 6 h, by scanner group @all");
  expect(ran.stdout).toContain(`Job ${JOB_ID.slice(0, 12)} has started.`);
  expect(ran.exitCode).toBe(0);
  const again = await cli.portolan("plan add office --range 192.0.2.0/24 -p 1-1024 --every 6h --no-start --json");
  expect(again.exitCode).toBe(0);
  expect(jsonOf(again.stdout)).toMatchObject({ plan: { name: "office", intervalS: 21_600, home: "eu" }, job: null });
});

test("the plan stays and says so when its first job cannot start", async () => {
  const { ledger } = cli.api;
  const usual = ledger.awaitCommand;
  ledger.awaitCommand = async () => ({ ok: false, code: "unavailable", message: "no keeper" });
  try {
    const ran = await cli.portolan("plan add later --range 198.51.100.0/28 -p 80");
    expect(ran.exitCode).toBe(5);
    expect(ran.stderr).toContain("portolan plan start later");
    expect(ran.stderr).toContain("no keeper");
    expect((await cli.portolan("plan show later")).exitCode).toBe(0);
  } finally {
    ledger.awaitCommand = usual;
  }
});

test("a plan whose rhythm has already started its first job tells that job", async () => {
  const { ledger } = cli.api;
  const [usual, usualList] = [ledger.awaitCommand, ledger.listJobs];
  ledger.awaitCommand = async () => ({ ok: false, code: "conflict", message: "plan already has the running job" });
  ledger.listJobs = async () => ({ items: [{ ...JOB, plan: "rhythm" }], next: null });
  try {
    const ran = await cli.portolan("plan add rhythm --range 198.51.100.16/28 -p 80 --every 1h");
    expect(ran.exitCode).toBe(0);
    expect(ran.stdout).toContain(`Job ${JOB_ID.slice(0, 12)} has started.`);
  } finally {
    [ledger.awaitCommand, ledger.listJobs] = [usual, usualList];
  }
});

test("wrong usage ends with 2, names what is wrong and the remedy, and sends nothing", async () => {
  const wrong: [string, RegExp][] = [
    ["plan add x --range 192.0.2.5/24 -p 80", /192\.0\.2\.0\/24/],
    ["plan add x --range 192.0.2.0/24 -p 70000", /port/i],
    ["plan add x --range 192.0.2.0/24 -p 80 --every soon", /6h/],
    ["plan add x --range 192.0.2.0/24 -p 80 --rate fast", /whole number/],
    ["plan add x --range 192.0.2.0/24", /--ports/],
    ["plan add x -p 80", /--range/],
    ["plan ad x", /Did you mean add/],
    ["frobnicate", /unknown command/],
    ["service ls --state gone", /active, open/],
    ["job ls --state gone", /running/],
    ["job show zz", /hexadecimal/],
    ["plan ls --json --ndjson", /cannot be used with/],
    ["exclude add 192.0.2.1 --owner me", /--reason/],
  ];
  for (const [args, message] of wrong) {
    const ran = await cli.portolan(args);
    expect([args, ran.exitCode, ran.stdout]).toEqual([args, 2, ""]);
    expect(ran.stderr).toMatch(message);
    expect(ran.sent).toEqual([]);
  }
});

test("refusals of the API keep their words and get the exit code of their kind", async () => {
  expect(await cli.portolan("plan show nosuch")).toMatchObject({ exitCode: 4, stdout: "" });
  expect((await cli.portolan("plan rm office", { role: "viewer" })).exitCode).toBe(3);
  expect((await cli.portolan("plan rm office", { role: "viewer" })).stderr).toContain("operator");
  expect((await cli.portolan("plan ls", { env: { PORTOLAN_TOKEN: "ptl_api_bad" } })).exitCode).toBe(3);
  expect((await cli.portolan("host show 203.0.113.9")).exitCode).toBe(4);
  expect((await cli.portolan(`job show ${"cd".repeat(32)}`)).exitCode).toBe(4);
});

test("lists are tables, one JSON document or JSON lines, with nothing else on standard output", async () => {
  const table = await cli.portolan("service ls");
  expect(table.stdout).toMatch(/^ADDRESS +PORT +STATE/);
  expect(table.stdout).toContain("192.0.2.1  443/tcp  open");
  expect(table.stderr).toContain("--all");
  expect(jsonOf((await cli.portolan("service ls --json")).stdout)).toMatchObject({ items: [SERVICE] });
  const all = await cli.portolan("service ls --all --ndjson");
  expect(all.stderr).toBe("");
  expect(
    all.stdout
      .trimEnd()
      .split("\n")
      .map((line) => jsonOf(line)["port"]),
  ).toEqual([443, 444]);
});

test("--fail-on-findings ends with 1 when anything is listed, and with 0 when nothing is", async () => {
  expect((await cli.portolan("service ls --fail-on-findings")).exitCode).toBe(1);
  const { ledger } = cli.api;
  const usual = ledger.search;
  ledger.search = async () => ({ items: [], next: null });
  try {
    expect((await cli.portolan("service ls --fail-on-findings")).exitCode).toBe(0);
  } finally {
    ledger.search = usual;
  }
});

test("an empty list says what it rests on", async () => {
  const { ledger } = cli.api;
  const usual = { ...ledger };
  ledger.search = async () => ({ items: [], next: null });
  try {
    expect((await cli.portolan("service ls")).stderr).toContain("is running");
    expect((await cli.portolan("service ls --port 1")).stderr).toContain("filter");
    ledger.listJobs = async () => ({ items: [], next: null });
    expect((await cli.portolan("service ls")).stderr).toContain("no job has run");
    ledger.listJobs = async () => ({ items: [{ ...JOB, state: "incomplete", endedAtMs: 9 }], next: null });
    expect((await cli.portolan("service ls")).stderr).toContain("covered nothing");
    ledger.listJobs = async () => ({
      items: [{ ...JOB, state: "complete", endedAtMs: 9, tiles: { total: 1, complete: 1, abandoned: 0 } }],
      next: null,
    });
    expect((await cli.portolan("service ls")).stderr).toContain("Covered and quiet");
    const json = await cli.portolan("service ls --json");
    expect([json.stdout, json.stderr]).toEqual(['{"items":[],"next_cursor":null}\n', ""]);
  } finally {
    Object.assign(ledger, usual);
  }
});

test("text from the network cannot steer the terminal", async () => {
  const { ledger } = cli.api;
  const usual = ledger.search;
  ledger.search = async () => ({ items: [{ ...SERVICE, seenBy: ["\x1b]0;owned\x07", "a\u202eb\r\n"] }], next: null });
  try {
    const ran = await cli.portolan("service ls", { isTTY: true, env: { NO_COLOR: "1" } });
    // oxlint-disable-next-line no-control-regex
    expect(ran.stdout).not.toMatch(/[\x00-\x09\x0b-\x1f\x7f\u202e]/);
    expect(ran.stdout).toContain("\\x1b]0;owned\\x07");
  } finally {
    ledger.search = usual;
  }
});

test("colours appear on a terminal only, and never with NO_COLOR, --color never or --json", async () => {
  const colour = "\x1b[32m";
  expect((await cli.portolan("service ls", { isTTY: true })).stdout).toContain(colour);
  expect((await cli.portolan("service ls")).stdout).not.toContain(colour);
  expect((await cli.portolan("service ls --color always")).stdout).toContain(colour);
  for (const args of ["service ls --color never", "service ls --json"]) {
    expect((await cli.portolan(args, { isTTY: true })).stdout).not.toContain("\x1b");
  }
  expect((await cli.portolan("service ls", { isTTY: true, env: { NO_COLOR: "1" } })).stdout).not.toContain("\x1b");
  expect((await cli.portolan("service ls", { isTTY: true, env: { TERM: "dumb" } })).stdout).not.toContain("\x1b");
});

test("a dry run shows the change and sends none", async () => {
  const ran = await cli.portolan("range add lab 192.0.2.0/28 --dry-run");
  expect(ran.exitCode).toBe(0);
  expect(jsonOf(ran.stdout)).toEqual({ method: "POST", path: "/v1/range-groups", body: { name: "lab", ranges: ["192.0.2.0/28"] } });
  expect(ran.sent.filter((request) => !request.startsWith("GET "))).toEqual([]);
  const key = await cli.portolan(
    "scanner add dry-1 --address 203.0.113.1 --nats nats://n:4222 --keeper " + `U${"A".repeat(55)}` + " --dry-run",
  );
  expect(key.exitCode).toBe(0);
  expect(existsSync(join(cli.cwd, "dry-1.json"))).toBe(false);
});

test("range groups, exclusions, scanner groups and tokens can be made, listed and removed", async () => {
  const steps: [string | string[], RegExp][] = [
    ["range-group add dmz 198.51.100.0/25 2001:db8::/126", /2 ranges/],
    ["range add dmz 198.51.100.200", /3 ranges/],
    ["range ls dmz", /2001:db8::\/126/],
    ["range ls", /@scanners/],
    ["range rm dmz 198.51.100.200", /2 ranges left/],
    ["range rm dmz", /deleted/],
    [["exclude", "add", "192.0.2.17", "-p", "9100", "--reason", "prints", "--owner", "it", "--for", "30d"], /ports 9100 of 192\.0\.2\.17/],
    ["exclude ls", /prints/],
    ["group add pair de01", /1\/1 de01/],
    ["group member pair --remove de01", /no members/],
    ["group member pair --add de01=1", /pinned/],
    ["group ls", /@all/],
    ["group rm pair", /deleted/],
    ["region ls", /eu +active +1 +answers here/],
    ["scanner ls", /de01 +eu +never heard/],
    ["token ls", /viewer/],
    ["plan ls", /office/],
    ["job ls", /office/],
    [`job show ${JOB_ID.slice(0, 6)}`, /running/],
    ["config show --origin", /environment/],
  ];
  for (const [args, message] of steps) {
    const ran = await cli.portolan(args);
    expect([args, ran.stderr.replace(/^No shard.*\n$/, ""), ran.exitCode]).toEqual([args, "", 0]);
    expect(ran.stdout).toMatch(message);
  }
  const exclusions = jsonOf((await cli.portolan("exclude ls --json")).stdout)["items"] as { id: string }[];
  expect((await cli.portolan(`exclude rm ${exclusions[0]?.id ?? ""}`)).exitCode).toBe(0);
});

test("a token is shown once, on standard output alone", async () => {
  const ran = await cli.portolan("token add anna --role viewer --for 90d");
  const text = ran.stdout.trim();
  expect(text).toMatch(/^ptl_api_[0-9a-f]{8}_/);
  expect(ran.stderr).not.toContain(text);
  expect((await cli.portolan("token ls")).stdout).not.toContain(text.slice(20));
  expect((await cli.portolan("config show", { env: { PORTOLAN_TOKEN: text } })).stdout).not.toContain(text.slice(20));
  const { items } = jsonOf((await cli.portolan("token ls --json")).stdout) as { items: { id: string; name: string }[] };
  expect((await cli.portolan(`token rm ${items.find(({ name }) => name === "anna")?.id ?? ""}`)).exitCode).toBe(0);
  expect((await cli.portolan("plan ls", { env: { PORTOLAN_TOKEN: text } })).exitCode).toBe(3);
});
