import { type Dirent, existsSync, mkdirSync, readdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { PortolanError } from "../core/errors.ts";
import type { RuntimeName } from "./options.ts";
import { ROOT } from "./tools.ts";

/** The same as in wrangler.toml. */
const COMPATIBILITY_DATE = "2026-11-01";

/** How one runtime serves the API as its own process. */
export type RuntimeCommand = { readonly argv: readonly string[]; readonly env: Readonly<Record<string, string>> };

/** Where and with which settings it serves. */
export type RuntimePlace = {
  readonly host: string;
  readonly port: number;
  /** Folder for what the runtime writes: caches, the bundle. */
  readonly dir: string;
  /** `PORTOLAN_…` variables, as workers/config.ts reads them. */
  readonly environment: Readonly<Record<string, string>>;
};

/** The command line that serves the API on a runtime; bundles what has to be bundled. Throws `unavailable` when the runtime is not installed. */
export async function runtimeCommand(runtime: RuntimeName, place: RuntimePlace): Promise<RuntimeCommand> {
  mkdirSync(place.dir, { recursive: true, mode: 0o700 });
  switch (runtime) {
    case "node":
      return { argv: [process.execPath, "--import", "tsx", join(ROOT, "workers/node.ts")], env: listening(place) };
    case "deno":
      return denoCommand(place);
    case "workerd":
      return workerdCommand(place);
  }
}

function listening({ environment, host, port }: RuntimePlace): Record<string, string> {
  return { ...environment, HOST: host, PORT: String(port) };
}

/** With no rights beyond those it needs: the stores are on this machine. */
function denoCommand(place: RuntimePlace): RuntimeCommand {
  const rights = ["--no-prompt", "--cached-only", `--allow-net=127.0.0.1,${place.host}`, "--allow-env", `--allow-read=${ROOT}`];
  const env = { ...listening(place), DENO_DIR: join(place.dir, "deno"), DENO_NO_UPDATE_CHECK: "1", NO_COLOR: "1" };
  return { argv: [denoBinary(), "run", ...rights, join(ROOT, "workers/deno.ts")], env };
}

/** One bundle under `workerd serve`: what wrangler would upload, without the platform around it. */
async function workerdCommand(place: RuntimePlace): Promise<RuntimeCommand> {
  await bundleWorker("workers/cloudflare.ts", join(place.dir, "worker.js"));
  const config = join(place.dir, "config.capnp");
  writeFileSync(config, workerdConfig(place), { mode: 0o600 });
  return { argv: [workerdBinary(), "serve", config], env: {} };
}

/** Bundles an entry (a path within the project) for workerd. */
export async function bundleWorker(entry: string, outfile: string): Promise<void> {
  const { build } = await import("esbuild");
  await build({
    entryPoints: [join(ROOT, entry)],
    outfile,
    bundle: true,
    format: "esm",
    target: "es2024",
    conditions: ["workerd", "worker", "browser"],
    external: ["node:*"],
    jsx: "automatic",
    jsxImportSource: "hono/jsx",
    logLevel: "error",
  });
}

/** Path of workerd itself. Throws `unavailable` when it is not installed. */
export function workerdBinary(): string {
  return platformBinary("@cloudflare", /^workerd-/, "bin/workerd");
}

/** Path of Deno itself, not of npm's wrapper, which passes no signals on. Throws `unavailable` when it is not installed. */
export function denoBinary(): string {
  return platformBinary("@deno", /^(linux|darwin)/, "deno");
}

const FRONT = `const TYPES = { css: "text/css", js: "text/javascript", svg: "image/svg+xml", txt: "text/plain" };
export default {
  async fetch(request, env) {
    const path = new URL(request.url).pathname;
    if (!path.startsWith("/static/") && path !== "/robots.txt") return env.APP.fetch(request);
    const file = await env.FILES.fetch("http://files" + path);
    const headers = new Headers(file.headers);
    headers.set("content-type", (TYPES[path.split(".").pop()] ?? "application/octet-stream") + "; charset=utf-8");
    return new Response(file.body, { status: file.status, headers });
  },
};
`;

/** Assets are the platform's affair in production; here a few lines in front of the worker give them out. */
function workerdConfig({ environment, host, port }: RuntimePlace): string {
  const bindings = Object.entries(environment).map(([name, value]) => `(name = ${quote(name)}, text = ${quote(value)})`);
  return `using Workerd = import "/workerd/workerd.capnp";
const config :Workerd.Config = (
  services = [
    (name = "main", worker = (
      modules = [(name = "front.js", esModule = ${quote(FRONT)})],
      compatibilityDate = "${COMPATIBILITY_DATE}",
      bindings = [(name = "APP", service = "app"), (name = "FILES", service = "files")])),
    (name = "app", worker = (
      modules = [(name = "worker.js", esModule = embed "worker.js")],
      compatibilityDate = "${COMPATIBILITY_DATE}",
      compatibilityFlags = ["nodejs_zlib"],
      bindings = [${bindings.join(", ")}],
      globalOutbound = "stores")),
    (name = "stores", network = (allow = ["private"])),
    (name = "files", disk = (path = ${quote(join(ROOT, "src/web/public"))})),
  ],
  sockets = [(name = "http", address = ${quote(`${host.includes(":") ? `[${host}]` : host}:${port}`)}, http = (cfBlobHeader = "cf-blob"), service = "main")]
);
`;
}

/** Text of Cap'n Proto: JSON's spelling, without its escapes beyond ASCII control characters. */
function quote(text: string): string {
  return JSON.stringify(text);
}

function platformBinary(scope: string, name: RegExp, file: string): string {
  const folder = join(ROOT, "node_modules", scope);
  const entries: Dirent[] = existsSync(folder) ? readdirSync(folder, { withFileTypes: true }) : [];
  const binary = entries
    .filter((entry) => name.test(entry.name))
    .map((entry) => join(folder, entry.name, file))
    .find(existsSync);
  if (binary === undefined)
    throw new PortolanError("unavailable", `no ${file} below ${folder}: run "npm ci", or choose the runtime "node"`);
  return binary;
}
