import { existsSync } from "node:fs";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { PortolanError } from "../../src/core/errors.ts";
import { ended, launch, type Launch } from "./launch.ts";
import type { ProbePair, ProberReply, ProberRequest, ProberView } from "./prober-protocol.ts";

/** Answers to one batch of connects, one letter per pair (see `ConnectAnswer`). */
export type ConnectAnswers = { readonly answers: string; readonly tries: number; readonly error: string | null };

/** How a batch is probed. */
export type ConnectSettings = { readonly timeoutMs: number; readonly parallel: number; readonly ratePps: number; readonly retries: number };

/** A running prober child. Its calls throw `PortolanError("unavailable")` when it is gone or does not answer in time. */
export type Prober = {
  look(interfaceName: string | null): Promise<ProberView>;
  /** Sends one UDP datagram, which draws an ICMP answer; false when it could not be sent. */
  poke(address: string): Promise<boolean>;
  connect(pairs: readonly ProbePair[], settings: ConnectSettings, replyTimeoutMs: number): Promise<ConnectAnswers>;
  /** Closes its input, or kills it when it does not end by itself. Returns whether it ended with exit code 0. */
  end(): Promise<boolean>;
  kill(): void;
};

const REPLY_TIMEOUT_MS = 10_000;
const END_TIMEOUT_MS = 3_000;
/** The discard port: nobody listens, so the router answers with ICMP. */
const POKE_PORT = 9;

type RequestBody = ProberRequest extends infer R ? (R extends ProberRequest ? Omit<R, "id"> : never) : never;
type Waiting = { resolve(reply: ProberReply): void; reject(error: Error): void };

/** Where the prober lies: TypeScript in the source tree, a bundle beside the daemon's own in a release. */
function proberFile(): string {
  const candidates = ["./prober.ts", "./prober.mjs", "./prober.js"].map((name) => fileURLToPath(new URL(name, import.meta.url)));
  const found = candidates.find((file) => existsSync(file));
  if (found === undefined) throw new PortolanError("internal", `the prober is missing; expected one of ${candidates.join(", ")}`);
  return found;
}

/** Starts a prober through the launcher. A failed start shows at its first call. */
export function startProber(how: Launch): Prober {
  const child = launch(how, [how.tools.node ?? process.execPath, "--disable-warning=ExperimentalWarning", proberFile()]);
  const waiting = new Map<number, Waiting>();
  let lastId = 0;
  let problem: string | null = null;
  let lastWords = "";
  const finished = ended(child);
  child.stderr.setEncoding("utf8").on("data", (text: string) => {
    lastWords = (lastWords + text).slice(-500);
  });
  child.stdin.on("error", () => {});
  createInterface({ input: child.stdout }).on("line", (line) => {
    const reply = JSON.parse(line) as ProberReply;
    waiting.get(reply.id)?.resolve(reply);
    waiting.delete(reply.id);
  });
  void finished.then((end) => {
    problem = `the prober ended (${end.problem ?? end.signal ?? `code ${end.code}`})${lastWords === "" ? "" : `: ${lastWords.trim()}`}`;
    for (const call of waiting.values()) call.reject(new PortolanError("unavailable", problem));
    waiting.clear();
  });

  const ask = (body: RequestBody, timeoutMs: number): Promise<ProberReply> =>
    new Promise((resolve, reject) => {
      if (problem !== null) return reject(new PortolanError("unavailable", problem));
      const id = (lastId += 1);
      const timer = setTimeout(() => {
        waiting.delete(id);
        reject(new PortolanError("unavailable", `the prober gave no answer to "${body.op}" in ${timeoutMs} ms`));
      }, timeoutMs);
      const settle = (act: () => void): void => {
        clearTimeout(timer);
        act();
      };
      waiting.set(id, { resolve: (reply) => settle(() => resolve(reply)), reject: (error) => settle(() => reject(error)) });
      child.stdin.write(`${JSON.stringify({ id, ...body })}\n`);
    });

  return {
    look: async (interfaceName) => expectReply(await ask({ op: "look", interface: interfaceName }, REPLY_TIMEOUT_MS), "look").view,
    poke: async (address) => expectReply(await ask({ op: "poke", address, port: POKE_PORT }, REPLY_TIMEOUT_MS), "poke").sent,
    connect: async (pairs, settings, replyTimeoutMs) =>
      expectReply(await ask({ op: "connect", pairs, ...settings }, replyTimeoutMs), "connect"),
    end: async () => {
      child.stdin.end();
      const timer = setTimeout(() => child.kill("SIGKILL"), END_TIMEOUT_MS);
      const end = await finished;
      clearTimeout(timer);
      return end.code === 0;
    },
    kill: () => void child.kill("SIGKILL"),
  };
}

function expectReply<Op extends ProberReply["op"]>(reply: ProberReply, op: Op): Extract<ProberReply, { op: Op }> {
  if (reply.op === op) return reply as Extract<ProberReply, { op: Op }>;
  throw new PortolanError(
    "unavailable",
    `the prober failed: ${reply.op === "failed" ? reply.problem : `answered "${reply.op}" to "${op}"`}`,
  );
}
