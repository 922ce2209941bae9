import { serve } from "@hono/node-server";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { createServer, type AddressInfo, type Server } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, expect, test } from "vitest";
import { JOB, type TestApi, startTestApi } from "../api/harness.ts";

const ROOT = fileURLToPath(new URL("../..", import.meta.url));

const PORTOLAN = join(ROOT, "src/cli/portolan.mjs");

type Ended = { readonly code: number | null; readonly stdout: string; readonly stderr: string };

let api: TestApi;
let server: ReturnType<typeof serve>;
let url: string;
let cwd: string;

beforeAll(async () => {
  cwd = mkdtempSync(join(tmpdir(), "portolan-process-"));
  api = await startTestApi();
  server = serve({ fetch: api.app.fetch, port: 0, hostname: "127.0.0.1" });
  await once(server as Server, "listening");
  url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
});
afterAll(async () => {
  server.close();
  await api.close();
  rmSync(cwd, { recursive: true, force: true });
});

function start(args: readonly string[], env: Record<string, string> = {}) {
  const child = spawn(PORTOLAN, args, {
    cwd,
    env: { PATH: process.env["PATH"] ?? "", PORTOLAN_URL: url, PORTOLAN_TOKEN: api.tokens.admin, ...env },
    stdio: ["ignore", "pipe", "pipe"],
  });
  const said = { stdout: "", stderr: "" };
  child.stdout.on("data", (bytes) => (said.stdout += String(bytes)));
  child.stderr.on("data", (bytes) => (said.stderr += String(bytes)));
  const ended = once(child, "close").then(([code]): Ended => ({ code: code as number | null, ...said }));
  return { child, said, ended };
}

test("portolan works from any folder, over real HTTP, and gives its exit code on", async () => {
  const good = await start(["service", "ls", "--json"]).ended;
  expect([good.code, good.stderr]).toEqual([0, ""]);
  expect(JSON.parse(good.stdout)).toMatchObject({ items: [{ address: "192.0.2.1" }] });
  expect((await start(["plan", "show", "nosuch"]).ended).code).toBe(4);
  expect((await start(["--help"]).ended).stdout).toContain("portolan plan add office");
});

test("a server that is not there gives one line with the remedy, and exit code 5", async () => {
  const closed = createServer().listen(0, "127.0.0.1");
  await once(closed, "listening");
  const { port } = closed.address() as AddressInfo;
  closed.close();
  await once(closed, "close");
  const ran = await start(["service", "ls"], { PORTOLAN_URL: `http://127.0.0.1:${port}` }).ended;
  expect([ran.code, ran.stdout]).toEqual([5, ""]);
  expect(ran.stderr).toBe(
    `portolan: cannot reach http://127.0.0.1:${port}: nothing listens there. Start Portolan there ("npm start"), or correct the address (--url)\n`,
  );
});

test("something else that listens there is not taken for the API", async () => {
  const other = serve({ fetch: () => new Response("<html>hello</html>", { status: 404 }), port: 0, hostname: "127.0.0.1" });
  await once(other as Server, "listening");
  try {
    const ran = await start(["service", "ls"], { PORTOLAN_URL: `http://127.0.0.1:${(other.address() as AddressInfo).port}` }).ended;
    expect([ran.code, ran.stdout]).toEqual([2, ""]);
    expect(ran.stderr).toContain("not by Portolan's API");
  } finally {
    other.close();
  }
});

test("an answer that is no JSON is refused as such", async () => {
  const other = serve({ fetch: () => new Response("<html>hello</html>"), port: 0, hostname: "127.0.0.1" });
  await once(other as Server, "listening");
  try {
    const ran = await start(["service", "ls"], { PORTOLAN_URL: `http://127.0.0.1:${(other.address() as AddressInfo).port}` }).ended;
    expect([ran.code, ran.stdout]).toEqual([2, ""]);
    expect(ran.stderr).toContain("not by Portolan's API");
  } finally {
    other.close();
  }
});

test("Ctrl-C while watching ends with 130 and says that the job goes on", async () => {
  api.ledger.job = async () => JOB;
  const { child, said, ended } = start(["job", "watch", JOB.id]);
  const deadlineMs = Date.now() + 60_000;
  while (!said.stderr.includes("tiles") && Date.now() < deadlineMs) await new Promise((resolve) => setTimeout(resolve, 20));
  child.kill("SIGINT");
  const { code, stderr } = await ended;
  expect([code, stderr]).toEqual([130, expect.stringContaining("goes on")]);
});

test("a reader that closes the pipe early is no error", async () => {
  const child = spawn("sh", ["-c", `"${PORTOLAN}" service ls --all --ndjson | head -n 1`], {
    env: { PATH: process.env["PATH"] ?? "", PORTOLAN_URL: url, PORTOLAN_TOKEN: api.tokens.admin },
  });
  let stderr = "";
  child.stderr.on("data", (bytes) => (stderr += String(bytes)));
  child.stdout.resume();
  await once(child, "close");
  expect(stderr).toBe("");
});
