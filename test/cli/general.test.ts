import { execFileSync } from "node:child_process";
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { createServer, type AddressInfo } from "node:net";
import { once } from "node:events";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { newSeed } from "../../src/bus/keys.node.ts";
import { run } from "../../src/cli/main.ts";
import { judgeClock } from "../../src/cli/doctor/finding.ts";
import { VERSION } from "../../src/core/version.ts";
import { ROOT } from "../../src/local/tools.ts";

// What every command shares, and the commands that look at the installation; the API is a script here.

const NOW_MS = Date.parse("2026-11-20T12:00:00.500Z");
let cwd = "";
beforeEach(() => {
  cwd = mkdtempSync(join(tmpdir(), "portolan-general-"));
});
afterEach(() => rmSync(cwd, { recursive: true, force: true }));

type Answers = Readonly<Record<string, unknown>>;
const part = { ok: true, problem: null };
const GOOD: Answers = {
  "/version": { name: "portolan", version: VERSION, region: "eu" },
  "/healthz": { ok: true },
  "/readyz": { ready: true, region: "eu", registry: part, ledger: { ...part, durability: "strong" } },
  "/v1/regions": { items: [{ name: "eu", natsUrl: null, answering: true }], next_cursor: null },
};

async function portolan(
  args: readonly string[],
  {
    answers = GOOD,
    env = {},
    date = "Fri, 20 Nov 2026 12:00:00 GMT",
  }: { answers?: Answers; env?: Record<string, string>; date?: string } = {},
) {
  const said = { stdout: "", stderr: "" };
  const sink = (name: "stdout" | "stderr") => ({
    isTTY: false,
    columns: 100,
    write: (text: string) => void (said[name] += text),
    stream: null,
  });
  const exitCode = await run(args, {
    stdout: sink("stdout"),
    stderr: sink("stderr"),
    env: { PORTOLAN_URL: "http://portolan.test", PORTOLAN_TOKEN: "ptl_api_0123abcd_secret_crc", XDG_CONFIG_HOME: join(cwd, "xdg"), ...env },
    cwd,
    fetch: async (request) => {
      const body = answers[new URL(request.url).pathname];
      if (body instanceof Error) throw body;
      if (typeof body === "number")
        return Response.json(
          { code: "unauthenticated", detail: "who are you?" },
          { status: body, headers: { "content-type": "application/problem+json" } },
        );
      return Response.json(body ?? {}, { headers: { date } });
    },
    now: () => NOW_MS,
    sleep: async () => undefined,
    signal: new AbortController().signal,
  });
  return { exitCode, ...said };
}

async function statesOf(
  options: Parameters<typeof portolan>[1],
  args: readonly string[] = [],
): Promise<{ exitCode: number; states: Record<string, string>; stdout: string }> {
  const ran = await portolan(["doctor", "--no-machine", "--json", ...args], options);
  const { items } = JSON.parse(ran.stdout) as { items: { check: string; state: string; remedy: string | null }[] };
  // Whatever is wrong comes with a remedy, and nothing else does.
  for (const { state, remedy } of items) expect(remedy === null).toBe(state === "ok");
  return { exitCode: ran.exitCode, stdout: ran.stdout, states: Object.fromEntries(items.map(({ check, state }) => [check, state])) };
}

test("doctor: all is well", async () => {
  const { exitCode, states } = await statesOf({});
  expect(new Set(Object.values(states))).toEqual(new Set(["ok"]));
  expect([exitCode, Object.keys(states)]).toEqual([0, ["settings", "api", "clock (API)", "registry", "ledger", "durability", "token"]]);
});

test("doctor: each fault is found, told with its remedy, and makes the exit code 1; a warning does not", async () => {
  const away = await statesOf({ answers: { "/version": new Error("connect ECONNREFUSED") } });
  expect([away.exitCode, away.states]).toEqual([1, { settings: "ok", api: "fail" }]);
  const stranger = await statesOf({ answers: { "/version": { hello: "world" } } });
  expect([stranger.exitCode, stranger.states["api"]]).toEqual([1, "fail"]);
  const ready = { registry: { ok: false, problem: "it does not answer" }, ledger: { ...part, durability: "weak" } };
  const stores = await statesOf({ answers: { ...GOOD, "/readyz": ready } });
  expect([stores.exitCode, stores.states]).toMatchObject([1, { registry: "fail", ledger: "ok", durability: "fail" }]);
  const provider = await statesOf({ answers: { ...GOOD, "/readyz": { registry: part, ledger: { ...part, durability: "unknown" } } } });
  expect([provider.exitCode, provider.states["durability"]]).toEqual([0, "warn"]);
  const refused = await statesOf({ answers: { ...GOOD, "/v1/regions": 401 } });
  expect([refused.exitCode, refused.states["token"]]).toEqual([1, "fail"]);
  const old = await statesOf({ answers: { ...GOOD, "/version": { name: "portolan", version: "0.0.1", region: "eu" } } });
  expect([old.exitCode, old.states["api"]]).toEqual([0, "warn"]);
  const late = await statesOf({ date: "Fri, 20 Nov 2026 11:59:50 GMT" });
  expect([late.exitCode, late.states["clock (API)"]]).toEqual([0, "warn"]);
  const unset = await statesOf({ env: { PORTOLAN_URL: "" } });
  expect([unset.exitCode, unset.states]).toEqual([1, { settings: "fail" }]);
  expect(away.stdout + refused.stdout).not.toContain("secret");
});

test("doctor: a message server that is no message server, and a scanner whose server is away", async () => {
  const other = createServer((socket) => socket.end("HTTP/1.1 400 no\r\n")).listen(0, "127.0.0.1");
  await once(other, "listening");
  const { port } = other.address() as AddressInfo;
  try {
    const regions = { items: [{ name: "eu", natsUrl: `nats://127.0.0.1:${port}`, answering: true }] };
    const { exitCode, states, stdout } = await statesOf({ answers: { ...GOOD, "/v1/regions": regions } });
    expect([exitCode, states["nats"], stdout]).toEqual([1, "fail", expect.stringContaining("something else listens there")]);
  } finally {
    other.close();
    await once(other, "close");
  }
  const file = join(cwd, "s1.json");
  const config = {
    region: "eu",
    dataDir: "x",
    roles: ["scanner"],
    nats: { url: `nats://127.0.0.1:${port}` },
    keySeed: newSeed(),
    keeperPublicKeys: [`U${"B".repeat(55)}`],
    scanner: { name: "s1" },
  };
  writeFileSync(file, JSON.stringify(config), { mode: 0o600 });
  const { exitCode, states } = await statesOf({ env: { PORTOLAN_URL: "" } }, ["--config", "s1.json"]);
  expect([exitCode, states]).toEqual([1, { nats: "fail", "nats login": "fail" }]);
  expect((await portolan(["doctor", "--config", "nosuch.json"])).exitCode).toBe(2);
});

test("doctor looks at the machine without sending anything, and says what is missing", async () => {
  const ran = await portolan(["doctor", "--no-network", "--json"]);
  const checks = (JSON.parse(ran.stdout) as { items: { check: string; state: string }[] }).items;
  expect(checks.map(({ check }) => check)).toEqual(expect.arrayContaining(["masscan", "raw sockets", "offloads"]));
  const file = join(cwd, "s1.json");
  const scanner = { name: "s1", tools: { masscan: "/nowhere/masscan", ethtool: "/nowhere/ethtool" } };
  const config = {
    region: "eu",
    dataDir: "x",
    roles: ["scanner"],
    nats: { url: "nats://127.0.0.1:1" },
    keySeed: newSeed(),
    keeperPublicKeys: [`U${"B".repeat(55)}`],
    scanner,
  };
  writeFileSync(file, JSON.stringify(config), { mode: 0o600 });
  const without = await portolan(["doctor", "--no-network", "--config", file, "--json"]);
  expect([without.exitCode, without.stdout]).toEqual([0, expect.stringContaining("TCP connects only")]);
});

test("a clock is judged by what is certain of its difference, in either direction", () => {
  const judge = (offsetMs: number, uncertainMs: number) => judgeClock("c", { whose: "x", offsetMs, uncertainMs }).state;
  expect([judge(0, 500), judge(-2_400, 500), judge(2_600, 500), judge(-300_600, 500), judge(400_000, 500)]).toEqual([
    "ok",
    "ok",
    "warn",
    "fail",
    "fail",
  ]);
  expect(judge(10_000, 10_000)).toBe("ok");
});

test("config check names every source and its state, ends with 2 for a damaged one, and shows no secret", async () => {
  const good = await portolan(["config", "check"]);
  expect([good.exitCode, good.stdout]).toEqual([0, expect.stringMatching(/environment +set +url, token/)]);
  writeFileSync(join(cwd, "portolan.toml"), 'url = "http://a"\ntoken = "ptl_x"\nnonsense = 1\n');
  const bad = await portolan(["config", "check"]);
  expect([bad.exitCode, bad.stdout]).toEqual([2, expect.stringContaining('unknown key "nonsense"')]);
  expect(good.stdout + bad.stdout).not.toContain("secret");
});

test("config check reads a configuration of the daemon, and tells wrong fields and a key that others can read", async () => {
  const file = join(cwd, "daemon.json");
  writeFileSync(file, JSON.stringify({ region: "EU!", roles: [] }));
  expect(await portolan(["config", "check", "daemon.json"])).toMatchObject({ exitCode: 2, stderr: expect.stringContaining("region") });
  const config = {
    region: "eu",
    dataDir: "x",
    roles: ["scanner"],
    nats: { url: "nats://a" },
    keySeed: newSeed(),
    keeperPublicKeys: [`U${"B".repeat(55)}`],
    scanner: { name: "s1" },
  };
  writeFileSync(file, JSON.stringify(config));
  chmodSync(file, 0o644);
  const open = await portolan(["config", "check", "daemon.json"]);
  expect([open.exitCode, open.stderr]).toEqual([0, expect.stringContaining("chmod 600")]);
  expect(open.stdout + open.stderr).not.toContain(config.keySeed);
});

test("-v tells each request on standard error, never the token; -q and -v exclude each other", async () => {
  const ran = await portolan(["-v", "region", "ls", "--json"], { answers: { "/v1/regions": { items: [], next_cursor: null } } });
  expect([ran.exitCode, ran.stderr]).toEqual([0, expect.stringMatching(/^GET \/v1\/regions\S* 200 \d+ ms\n/)]);
  expect(ran.stdout + ran.stderr).not.toContain("secret");
  expect((await portolan(["-q", "-v", "region", "ls"])).exitCode).toBe(2);
});

test("--dry-run changes nothing, also where the supervisor is asked and not the API", async () => {
  for (const args of [
    ["backup", "now"],
    ["region", "rebuild", "eu", "--yes"],
  ]) {
    const ran = await portolan([...args, "--dry-run"]);
    expect([ran.exitCode, ran.stdout, ran.stderr]).toEqual([
      0,
      expect.stringContaining("supervisor:"),
      expect.stringContaining("nothing was changed"),
    ]);
  }
});

test("completion: each shell gets a script, and Tab offers commands, options of the command and of the program, and choices", () => {
  const cli = (...args: readonly string[]): string =>
    execFileSync(process.execPath, [join(ROOT, "src/cli/main.ts"), ...args], { encoding: "utf8", env: { PATH: process.env["PATH"] } });
  for (const shell of ["bash", "zsh", "fish"]) expect(cli("completion", shell)).toContain("portolan");
  execFileSync("bash", ["-n"], { input: cli("completion", "bash") });
  const offers = (...words: readonly string[]): string[] =>
    cli("complete", "--", ...words)
      .split("\n")
      .map((line) => line.split("\t")[0] ?? "");
  expect(offers("jo")).toContain("job");
  expect(offers("job", "")).toEqual(expect.arrayContaining(["ls", "watch", "cancel"]));
  expect(offers("job", "watch", "--")).toEqual(expect.arrayContaining(["--plan", "--json", "--color"]));
  expect(offers("job", "ls", "--color", "")).toEqual(expect.arrayContaining(["auto", "always", "never"]));
  expect(cli("--help")).not.toContain("complete ");
});
