import { createHash, randomBytes, timingSafeEqual } from "node:crypto";
import { existsSync, readFileSync, realpathSync, rmSync } from "node:fs";
import { createServer, type IncomingMessage, request } from "node:http";
import { join } from "node:path";
import { z } from "zod";
import { PortolanError, type ErrorCode } from "../core/errors.ts";
import { writeSecret } from "./layout.ts";

/** What a running supervisor can be told by the command line of the same machine. */
export const CONTROL_COMMANDS = ["promote", "rebuild", "filling", "backup"] as const;
export type ControlCommand = (typeof CONTROL_COMMANDS)[number];

/** What each command does; results are JSON values. */
export type ControlHandlers = { readonly [Name in ControlCommand]: (body: unknown) => Promise<unknown> };

const BODY_BYTES_MAX = 4_096;
const keyFileOf = (dir: string): string => join(dir, "control.key");
/** An abstract socket like that of the lock: it cannot outlive its process, and paths may be long. Anybody may connect, so a key is asked for. */
const socketOf = (dir: string): string => `\0portolan-control-${createHash("sha256").update(realpathSync(dir)).digest("hex").slice(0, 40)}`;

/** Listens until `close`; whoever can read `control.key` in the folder (mode 0600) may command. */
export async function openControl(dir: string, handlers: ControlHandlers): Promise<{ close(): Promise<void> }> {
  const key = randomBytes(32).toString("hex");
  const server = createServer((incoming, response) => {
    const finish = (status: number, value: unknown): void => {
      response.writeHead(status, { "content-type": "application/json" });
      response.end(`${JSON.stringify(value)}\n`);
    };
    void answer(incoming, key, handlers).then(
      (result) => finish(200, { result: result ?? null }),
      (error: unknown) => {
        const code = error instanceof PortolanError ? error.code : "internal";
        finish(500, { code, message: error instanceof Error ? error.message : String(error) });
      },
    );
  });
  server.requestTimeout = 10_000;
  await new Promise<void>((resolve, reject) => {
    server.once("error", reject);
    server.listen({ path: socketOf(dir) }, resolve);
  });
  server.unref();
  writeSecret(keyFileOf(dir), `${key}\n`);
  return {
    close: () =>
      new Promise((resolve) => {
        rmSync(keyFileOf(dir), { force: true });
        server.close(() => resolve());
        server.closeIdleConnections();
      }),
  };
}

async function answer(incoming: IncomingMessage, key: string, handlers: ControlHandlers): Promise<unknown> {
  const given = Buffer.from(incoming.headers.authorization ?? "");
  const wanted = Buffer.from(`Bearer ${key}`);
  if (given.length !== wanted.length || !timingSafeEqual(given, wanted)) throw new PortolanError("forbidden", "the control key is wrong");
  const name = CONTROL_COMMANDS.find((command) => incoming.url === `/${command}`);
  if (name === undefined || incoming.method !== "POST") throw new PortolanError("not-found", `there is no command ${incoming.url}`);
  let text = "";
  for await (const chunk of incoming) {
    text += String(chunk);
    if (text.length > BODY_BYTES_MAX) throw new PortolanError("too-large", `a command has at most ${BODY_BYTES_MAX} bytes`);
  }
  return handlers[name](text === "" ? {} : JSON.parse(text));
}

const answerSchema = z.union([z.object({ result: z.unknown() }), z.object({ code: z.string(), message: z.string() })]);
const CODES: readonly string[] = ["invalid", "forbidden", "not-found", "conflict", "unavailable"] satisfies ErrorCode[];

/**
 * Has the supervisor that uses a folder do something. Null when none runs there. Throws what the command throws, and `unavailable` when
 * it has not ended within `timeoutMs`: it may still be carried out.
 */
export async function callControl(
  dir: string,
  command: ControlCommand,
  options: { readonly body?: unknown; readonly timeoutMs: number },
): Promise<{ readonly result: unknown } | null> {
  if (!existsSync(keyFileOf(dir))) return null;
  const key = readFileSync(keyFileOf(dir), "utf8").trim();
  const text = await post(dir, { command, key, ...options });
  if (text === null) return null;
  const parsed = answerSchema.parse(JSON.parse(text));
  if ("result" in parsed) return { result: parsed.result };
  const code = CODES.includes(parsed.code) ? (parsed.code as ErrorCode) : "internal";
  throw new PortolanError(code, parsed.message);
}

type Post = { readonly command: ControlCommand; readonly key: string; readonly body?: unknown; readonly timeoutMs: number };

/** Null when nobody listens: the supervisor was killed, and its key file is a leftover. */
function post(dir: string, { command, key, body, timeoutMs }: Post): Promise<string | null> {
  const headers = { authorization: `Bearer ${key}`, "content-type": "application/json" };
  const signal = AbortSignal.timeout(timeoutMs);
  return new Promise((resolve, reject) => {
    const call = request({ socketPath: socketOf(dir), path: `/${command}`, method: "POST", headers, signal }, (response) => {
      let text = "";
      response.setEncoding("utf8");
      response.on("data", (chunk: string) => (text += chunk));
      response.on("end", () => resolve(text));
      response.on("error", reject);
    });
    call.on("error", (error: NodeJS.ErrnoException) => {
      if (error.code === "ECONNREFUSED" || error.code === "ENOENT") resolve(null);
      else if (signal.aborted)
        reject(new PortolanError("unavailable", `"${command}" was not done within ${timeoutMs / 1000} s; it may still be under way`));
      else reject(error);
    });
    call.end(JSON.stringify(body ?? {}));
  });
}
