import { type ChildProcess, spawn } from "node:child_process";
import { existsSync, readFileSync, readdirSync } from "node:fs";
import { mkdtemp, readFile, rm, stat } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { freePort } from "../../src/local/ports.ts";
import { ROOT } from "../../src/local/tools.ts";

// `npm start` without npm: the process as a person runs it.

let dir = "";
let started: ChildProcess[] = [];
beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), "portolan-start-"));
});
afterEach(async () => {
  for (const child of started) {
    child.kill("SIGTERM");
    if (child.exitCode === null && child.signalCode === null) await new Promise((resolve) => child.once("exit", resolve));
  }
  started = [];
  await rm(dir, { recursive: true, force: true });
});

type Started = { readonly child: ChildProcess; readonly output: () => string; readonly ended: Promise<number | null> };

function start(...args: string[]): Started {
  const child = spawn(process.execPath, ["--import", "tsx", join(ROOT, "src/local/start.ts"), "--dir", join(dir, "data"), ...args], {
    cwd: ROOT,
    stdio: ["ignore", "pipe", "pipe"],
  });
  started.push(child);
  let text = "";
  for (const stream of [child.stdout, child.stderr]) stream?.on("data", (chunk: Buffer) => (text += chunk.toString("utf8")));
  return { child, output: () => text, ended: new Promise((resolve) => child.once("exit", (code) => resolve(code))) };
}

const running = (region: Started): Promise<void> =>
  expect.poll(region.output, { timeout: 90_000, interval: 50 }).toContain("Ctrl-C stops everything in order");

/** Processes that name this test's own data folder in their command line or working directory's configuration. */
function processesOf(folder: string): string[] {
  return readdirSync("/proc")
    .filter((name) => /^\d+$/.test(name) && Number(name) !== process.pid)
    .filter((name) => {
      try {
        return readFileSync(`/proc/${name}/cmdline`, "utf8").includes(folder);
      } catch {
        return false;
      }
    });
}

test("the first start makes keys and prints a token once; a start after kill -9 has the same token and finds no left-over process", async () => {
  const port = await freePort();
  const first = start("--port", String(port));
  await running(first);
  const token = /ptl_api_\S+/.exec(first.output())?.[0] ?? "";
  const me = await fetch(`http://127.0.0.1:${port}/v1/me`, { headers: { authorization: `Bearer ${token}` } });
  expect(await me.json()).toMatchObject({ role: "admin" });
  expect((await stat(join(dir, "data", "credentials.json"))).mode & 0o777).toBe(0o600);
  expect(processesOf(join(dir, "data")).length).toBeGreaterThan(4);

  first.child.kill("SIGKILL");
  await first.ended;
  await expect.poll(() => processesOf(join(dir, "data")), { timeout: 60_000 }).toEqual([]);

  const second = start("--port", String(port));
  await running(second);
  expect(second.output()).toContain("admin token     as before");
  expect(second.output()).not.toContain("ptl_api_");
  expect(JSON.parse(await readFile(join(dir, "data", "credentials.json"), "utf8"))).toMatchObject({
    token,
    url: `http://127.0.0.1:${port}`,
  });
  second.child.kill("SIGINT");
  expect(await second.ended).toBe(0);
  expect(processesOf(join(dir, "data"))).toEqual([]);
});

test("a second start on the same folder, a taken port and a wrong option are refused in one line each", async () => {
  const port = await freePort();
  const first = start("--port", String(port));
  await running(first);
  const again = start("--port", String(await freePort()));
  expect(await again.ended).toBe(2);
  expect(again.output().trim()).toBe(
    `portolan: ${join(dir, "data")} is already in use by a running portolan; stop that one first, or choose another folder with --dir`,
  );
  const taken = start("--dir", join(dir, "other"), "--port", String(port));
  expect(await taken.ended).toBe(2);
  expect(taken.output().trim()).toBe(`portolan: port ${port} is in use by another program; choose another with --port`);
  const wrong = start("--port", "http");
  expect(await wrong.ended).toBe(2);
  expect(wrong.output().trim()).toBe("error: option '--port <port>' argument 'http' is invalid. use a number from 1 to 65535.");
  expect(existsSync(join(dir, "other", "credentials.json"))).toBe(false);
});
