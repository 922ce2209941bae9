import { setTimeout as delay } from "node:timers/promises";
import { PortolanError } from "../core/errors.ts";
import type { ProcessExit } from "./sqld.ts";

/** A started process that was ready when this was handed out. */
export type Running = {
  readonly pid: number;
  /** Resolves when the process has ended, for whatever reason. Never rejects. */
  readonly exited: Promise<ProcessExit>;
  /** Ends it in order. Repeatable. */
  stop(): Promise<ProcessExit>;
  /** SIGKILL, as a crash would do. */
  kill9(): Promise<ProcessExit>;
};

/** How to start one child; `start` resolves when the child answers. */
export type ChildSpec = { readonly name: string; start(): Promise<Running> };

/** What happened to a child, in words for a log line. */
export type ChildEvent = { readonly child: string; readonly kind: "started" | "ended" | "failed"; readonly detail: string };

const BACKOFF_FIRST_MS = 100;
const BACKOFF_MAX_MS = 5_000;
/** A child that ran this long starts again without the back-off that came before. */
const STABLE_MS = 10_000;

/** Keeps one child process running: starts it again with growing pauses whenever it ends unasked. */
export class Child {
  readonly name: string;
  readonly #spec: ChildSpec;
  readonly #onEvent: (event: ChildEvent) => void;
  #wanted = false;
  #running: Running | null = null;
  #loop: Promise<void> = Promise.resolve();
  #wake = new AbortController();
  #starts = 0;

  constructor(spec: ChildSpec, onEvent: (event: ChildEvent) => void) {
    this.name = spec.name;
    this.#spec = spec;
    this.#onEvent = onEvent;
  }

  /** Process id while it runs and answers. */
  get pid(): number | null {
    return this.#running?.pid ?? null;
  }

  /** How often it has been started successfully. */
  get starts(): number {
    return this.#starts;
  }

  /** Starts it and returns when it answers; throws what the first start throws. Afterwards it is kept running. */
  async start(): Promise<void> {
    if (this.#wanted) return;
    this.#wanted = true;
    this.#wake = new AbortController();
    try {
      await this.#startOnce();
    } catch (error) {
      this.#wanted = false;
      throw error;
    }
    this.#loop = this.#keep();
  }

  /** Ends it in order and leaves it down. Repeatable. */
  async stop(): Promise<void> {
    this.#wanted = false;
    this.#wake.abort();
    await this.#running?.stop();
    await this.#loop;
  }

  /** Ends it in order and returns when it runs anew; throws `unavailable` after `timeoutMs`, while it is still tried. Nothing for one that is left down. */
  async restart(timeoutMs: number): Promise<void> {
    const deadline = performance.now() + timeoutMs;
    const before = this.#starts;
    await this.#running?.stop();
    while (this.#wanted && this.#starts === before) {
      if (performance.now() > deadline) throw new PortolanError("unavailable", `${this.name} did not come back within ${timeoutMs} ms`);
      await delay(10);
    }
  }

  /** Kills it by force, as a crash would; it comes back by itself unless `stayDown`. Resolves when the process has ended. */
  async kill9(options: { readonly stayDown?: boolean } = {}): Promise<void> {
    if (options.stayDown === true) {
      this.#wanted = false;
      this.#wake.abort();
    }
    await this.#running?.kill9();
    if (options.stayDown === true) await this.#loop;
  }

  /** Resolves when it runs and has answered since its start; throws `unavailable` after `timeoutMs`. */
  async ready(timeoutMs: number): Promise<void> {
    const deadline = performance.now() + timeoutMs;
    while (this.#running === null) {
      if (performance.now() > deadline) throw new PortolanError("unavailable", `${this.name} did not come back within ${timeoutMs} ms`);
      await delay(10);
    }
  }

  async #startOnce(): Promise<void> {
    const running = await this.#spec.start();
    // Asked to stop while it was starting.
    if (!this.#wanted) {
      await running.stop();
      return;
    }
    this.#running = running;
    this.#starts += 1;
    this.#onEvent({ child: this.name, kind: "started", detail: `pid ${running.pid}` });
  }

  async #keep(): Promise<void> {
    let pauseMs = BACKOFF_FIRST_MS;
    while (this.#wanted) {
      const startedAt = performance.now();
      const exit = await this.#running?.exited;
      this.#running = null;
      this.#onEvent({ child: this.name, kind: "ended", detail: exit === undefined ? "not running" : describe(exit) });
      if (performance.now() - startedAt > STABLE_MS) pauseMs = BACKOFF_FIRST_MS;
      // oxlint-disable-next-line typescript/no-unnecessary-condition -- changed by stop() meanwhile
      while (this.#wanted && this.#running === null) {
        await delay(pauseMs, undefined, { signal: this.#wake.signal }).catch(() => undefined);
        pauseMs = Math.min(pauseMs * 2, BACKOFF_MAX_MS);
        if (this.#wanted) await this.#tryStart();
      }
    }
    this.#running = null;
  }

  async #tryStart(): Promise<void> {
    try {
      await this.#startOnce();
    } catch (error) {
      this.#onEvent({ child: this.name, kind: "failed", detail: error instanceof Error ? error.message : String(error) });
    }
  }
}

function describe(exit: ProcessExit): string {
  return exit.signal === null ? `exit code ${exit.code ?? "unknown"}` : `killed by ${exit.signal}`;
}
