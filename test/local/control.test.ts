import { existsSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { run } from "../../src/cli/main.ts";
import { PortolanError } from "../../src/core/errors.ts";
import { callControl, type ControlHandlers, openControl } from "../../src/local/control.ts";

let dir = "";
let close: () => Promise<void> = () => Promise.resolve();
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), "portolan-control-"));
});
afterEach(async () => {
  await close();
  close = () => Promise.resolve();
  rmSync(dir, { recursive: true, force: true });
});

async function serve(handlers: Partial<ControlHandlers>): Promise<void> {
  const none = (): Promise<never> => Promise.reject(new Error("not expected here"));
  ({ close } = await openControl(dir, { promote: none, rebuild: none, filling: none, backup: none, ...handlers }));
}

/** The command line with nothing but this folder. */
async function portolan(...args: string[]): Promise<{ code: number; out: string; err: string }> {
  const said = { out: "", err: "" };
  const sink = (name: "out" | "err") => ({ isTTY: false, columns: 100, write: (text: string) => void (said[name] += text), stream: null });
  const code = await run([...args, "--dir", dir], {
    stdout: sink("out"),
    stderr: sink("err"),
    env: {},
    cwd: dir,
    fetch: () => Promise.reject(new Error("the API is not asked")),
    now: () => Date.now(),
    sleep: () => Promise.resolve(),
    signal: new AbortController().signal,
  });
  return { code, ...said };
}

test("a command reaches the supervisor of the folder, with its body, and its result and its refusal come back", async () => {
  const bodies: unknown[] = [];
  await serve({
    backup: async (body) => void bodies.push(body),
    promote: () => Promise.reject(new PortolanError("not-found", 'there is no region "moon" here')),
  });
  expect(await callControl(dir, "backup", { body: { a: 1 }, timeoutMs: 10_000 })).toEqual({ result: null });
  expect(bodies).toEqual([{ a: 1 }]);
  const refused = callControl(dir, "promote", { body: {}, timeoutMs: 10_000 });
  await expect(refused).rejects.toMatchObject({ code: "not-found", message: 'there is no region "moon" here' });
});

test("only who can read the folder's key may command, and the key is for its owner only", async () => {
  let calls = 0;
  await serve({ backup: async () => (calls += 1) });
  const file = join(dir, "control.key");
  expect(statSync(file).mode & 0o777).toBe(0o600);
  const key = readFileSync(file, "utf8");
  writeFileSync(file, "0".repeat(key.trim().length));
  await expect(callControl(dir, "backup", { timeoutMs: 10_000 })).rejects.toMatchObject({ code: "forbidden" });
  writeFileSync(file, "");
  await expect(callControl(dir, "backup", { timeoutMs: 10_000 })).rejects.toMatchObject({ code: "forbidden" });
  expect(calls).toBe(0);
});

test("where no supervisor runs there is no answer, also after one that was killed and left its key", async () => {
  expect(await callControl(dir, "backup", { timeoutMs: 10_000 })).toBeNull();
  await serve({});
  const file = join(dir, "control.key");
  const key = readFileSync(file, "utf8");
  await close();
  expect(existsSync(file)).toBe(false);
  writeFileSync(file, key);
  expect(await callControl(dir, "backup", { timeoutMs: 10_000 })).toBeNull();
  expect(await portolan("backup", "now")).toMatchObject({
    code: 5,
    err: expect.stringContaining(`no supervisor runs in ${dir}; start it`),
  });
});

test("a command that takes too long is given up with a word that it may still be under way", async () => {
  await serve({ backup: () => new Promise(() => undefined) });
  await expect(callControl(dir, "backup", { timeoutMs: 300 })).rejects.toThrow("it may still be under way");
});

test("region rebuild shows how far the keeper is until nothing is behind", async () => {
  const behind = [null, null, 1_200, 0];
  await serve({
    rebuild: async () => ({ region: "ap", log: "ab".repeat(16), setAside: null }),
    filling: async () => behind.shift() ?? null,
  });
  const done = await portolan("region", "rebuild", "ap", "--yes");
  expect(done).toMatchObject({ code: 0, out: `Region ap begins log ${"ab".repeat(16)}; its keeper fills the ledger from the peers.\n` });
  expect(done.err.trim().split("\n")).toEqual([
    "waiting for a word of every peer",
    expect.stringMatching(/^1.200 records behind$/),
    "Region ap holds all that its peers hold.",
  ]);
});

test("region promote says when the old home could not be asked, and where nothing runs that regions are unknown there", async () => {
  expect(await portolan("region", "promote", "us")).toMatchObject({ code: 4, err: expect.stringContaining("holds no regions") });
  await serve({ promote: async () => ({ home: "us", was: "eu", caughtUp: false, version: 7 }) });
  const done = await portolan("region", "promote", "us");
  expect(done.code).toBe(0);
  expect(done.out).toContain("Region us is the registry's home now, after eu.\nRegion eu could not be asked");
});
