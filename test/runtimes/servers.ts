import { type ChildProcess, spawn } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { freePort } from "../../src/local/ports.ts";
import { bundleWorker, denoBinary, workerdBinary } from "../../src/local/runtimes.ts";

/** A runtime that serves the app as its own process. */
export type Server = { readonly url: string; readonly pid: number; stop(): Promise<void> };
export type Environment = Readonly<Record<string, string>>;

const ROOT = fileURLToPath(new URL("../..", import.meta.url));
const READY_WITHIN_MS = 120_000;

/**
 * Asks a server; redirects are not followed. A read is repeated once when its connection was closed: servers close those on which a body was
 * left unread, and a client may take one up just then.
 */
export async function askServer(server: Server, path: string, init: RequestInit = {}): Promise<Response> {
  const ask = (): Promise<Response> => fetch(`${server.url}${path}`, { ...init, redirect: "manual" });
  return (init.method ?? "GET") === "GET" ? ask().catch(ask) : ask();
}

/** `workers/node.ts` under the pinned Node. */
export async function startNode(environment: Environment, entry = "workers/node.ts"): Promise<Server> {
  const child = spawn(join(ROOT, "node_modules/.bin/node"), ["--import", "tsx", entry], {
    cwd: ROOT,
    env: { ...environment, PORT: "0" },
  });
  return announced(child, () => undefined);
}

/** `workers/deno.ts` under the real binary (the npm wrapper would not pass signals on), with no rights beyond those it needs. */
export async function startDeno(environment: Environment, entry = "workers/deno.ts"): Promise<Server> {
  const cache = mkdtempSync(join(tmpdir(), "portolan-deno-"));
  const rights = ["--no-prompt", "--cached-only", "--allow-net=127.0.0.1", "--allow-env", `--allow-read=${ROOT}`];
  const env = { ...environment, PORT: "0", DENO_DIR: cache, DENO_NO_UPDATE_CHECK: "1", NO_COLOR: "1" };
  const child = spawn(denoBinary(), ["run", ...rights, entry], { cwd: ROOT, env });
  return announced(child, () => rmSync(cache, { recursive: true, force: true }));
}

/** `workers/cloudflare.ts` as one esbuild bundle under `workerd serve`. */
export async function startWorkerd(environment: Environment, entry = "workers/cloudflare.ts"): Promise<Server> {
  const dir = mkdtempSync(join(tmpdir(), "portolan-workerd-"));
  const clean = (): void => rmSync(dir, { recursive: true, force: true });
  try {
    await bundleWorker(entry, join(dir, "worker.js"));
    const port = await freePort();
    writeFileSync(join(dir, "config.capnp"), workerdConfig(environment, port));
    const child = spawn(workerdBinary(), ["serve", join(dir, "config.capnp")], { cwd: dir, env: {} });
    return await answering(child, `http://127.0.0.1:${port}`, clean);
  } catch (error) {
    clean();
    throw error;
  }
}

function workerdConfig(environment: Environment, port: number): string {
  const bindings = Object.entries(environment).map(([name, value]) => `(name = ${JSON.stringify(name)}, text = ${JSON.stringify(value)})`);
  return `using Workerd = import "/workerd/workerd.capnp";
const config :Workerd.Config = (
  services = [
    (name = "main", worker = (
      modules = [(name = "worker.js", esModule = embed "worker.js")],
      compatibilityDate = "2026-11-01",
      compatibilityFlags = ["nodejs_zlib"],
      bindings = [${bindings.join(", ")}],
      globalOutbound = "stores")),
    (name = "stores", network = (allow = ["private"])),
  ],
  sockets = [(name = "http", address = "127.0.0.1:${port}", http = (cfBlobHeader = "cf-blob"), service = "main")]
);
`;
}

/** Waits for the line `{"event":"listening","url":…}`. */
async function announced(child: ChildProcess, clean: () => void): Promise<Server> {
  const output = collect(child);
  return whenReady(child, clean, output, async () => /"event":"listening","url":"([^"]+)"/.exec(output())?.[1] ?? null);
}

/** Waits until `/healthz` answers. */
async function answering(child: ChildProcess, url: string, clean: () => void): Promise<Server> {
  return whenReady(child, clean, collect(child), async () => {
    const answer = await fetch(`${url}/healthz`, { signal: AbortSignal.timeout(2_000) }).catch(() => null);
    await answer?.arrayBuffer();
    return answer?.ok ? url : null;
  });
}

function collect(child: ChildProcess): () => string {
  let text = "";
  for (const stream of [child.stdout, child.stderr])
    stream?.on("data", (chunk: Buffer) => (text = (text + chunk.toString()).slice(-20_000)));
  return () => text;
}

async function whenReady(
  child: ChildProcess,
  clean: () => void,
  output: () => string,
  probe: () => Promise<string | null>,
): Promise<Server> {
  let hasEnded = false;
  const exited = new Promise<void>((resolve) => {
    const end = (): void => {
      hasEnded = true;
      resolve();
    };
    child.once("exit", end);
    child.once("error", end);
  });
  const stop = async (): Promise<void> => {
    if (!hasEnded) child.kill("SIGTERM");
    const timer = setTimeout(() => child.kill("SIGKILL"), 5_000);
    await exited.finally(() => clearTimeout(timer));
    clean();
  };
  const deadline = performance.now() + READY_WITHIN_MS;
  while (!hasEnded && performance.now() < deadline) {
    const url = await probe();
    if (url !== null) return { url, pid: child.pid ?? 0, stop };
    await new Promise((resolve) => setTimeout(resolve, 25));
  }
  await stop();
  throw new Error(`the runtime did not come up; it said: ${output()}`);
}
