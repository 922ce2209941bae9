import { EventEmitter } from "node:events";
import { Readable, Writable } from "node:stream";
import type { Simulation, SimProcess, Task } from "./engine.ts";

/** What a simulated program can do. */
export type Child = {
  readonly argv: readonly string[];
  readonly cwd: string;
  readonly owner: SimProcess;
  readonly simulation: Simulation;
  say(text: string): void;
  warn(text: string): void;
  onLine(take: (line: string) => void): void;
  onInputEnd(act: () => void): void;
  onEnd(act: () => void): void;
  /** Without a handler a signal ends the program. */
  onTerm(act: () => void): void;
  after(delayMs: number, act: () => void): Task;
  exit(code: number | null, signal?: string | null): void;
  readonly ended: () => boolean;
};

/** What the daemon sees of a child process: as much of Node's interface as it uses. */
export class SimulatedChild extends EventEmitter {
  readonly pid = 1;
  readonly stdout = new Readable({ read() {} });
  readonly stderr = new Readable({ read() {} });
  readonly stdin: Writable;
  #term: (() => void) | null = null;
  #ended = false;
  #input = "";
  #takeLine: ((line: string) => void) | null = null;
  #waiting: string[] = [];
  #inputEnd: (() => void) | null = null;
  #inputEnded = false;
  #onEnd: () => void = () => {};
  readonly #simulation: Simulation;
  readonly #owner: SimProcess;

  constructor(simulation: Simulation, owner: SimProcess) {
    super();
    this.#simulation = simulation;
    this.#owner = owner;
    this.stdin = new Writable({
      write: (chunk: Buffer, _encoding, done) => {
        this.#takeInput(chunk.toString("utf8"));
        done();
      },
      final: (done) => {
        this.#inputEnded = true;
        this.#later(() => this.#inputEnd?.());
        done();
      },
    });
  }

  /** Starts a program in it. */
  run(argv: readonly string[], cwd: string, program: (child: Child) => void): void {
    const child: Child = {
      argv,
      cwd,
      owner: this.#owner,
      simulation: this.#simulation,
      say: (text) => void (this.#ended || this.stdout.push(text)),
      warn: (text) => void (this.#ended || this.stderr.push(text)),
      onLine: (take) => {
        this.#takeLine = take;
        for (const line of this.#waiting.splice(0)) this.#later(() => take(line));
      },
      onInputEnd: (act) => {
        this.#inputEnd = act;
        if (this.#inputEnded) this.#later(act);
      },
      onEnd: (act) => {
        this.#onEnd = act;
      },
      onTerm: (act) => {
        this.#term = act;
      },
      after: (delayMs, act) =>
        this.#simulation.after(delayMs, this.#owner, argv[0] ?? "child", () => {
          if (!this.#ended) act();
        }),
      exit: (code, signal = null) => this.#exit(code, signal),
      ended: () => this.#ended,
    };
    child.after(this.#simulation.between(0.5, 20), () => program(child));
  }

  kill(signal: "SIGTERM" | "SIGKILL"): boolean {
    this.#later(() => {
      if (signal === "SIGTERM" && this.#term !== null) this.#term();
      else this.#exit(null, signal);
    });
    return true;
  }

  #later(act: () => void): void {
    this.#simulation.after(this.#simulation.between(0.1, 2), this.#owner, "signal", () => {
      if (!this.#ended) act();
    });
  }

  #takeInput(text: string): void {
    const lines = (this.#input + text).split("\n");
    this.#input = lines.pop() ?? "";
    const take = this.#takeLine;
    if (take === null) this.#waiting.push(...lines);
    else for (const line of lines) this.#later(() => take(line));
  }

  #exit(code: number | null, signal: string | null): void {
    if (this.#ended) return;
    this.#ended = true;
    this.#onEnd();
    let open = 2;
    for (const stream of [this.stdout, this.stderr]) {
      stream.once("close", () => {
        open -= 1;
        if (open === 0) this.emit("close", code, signal);
      });
      stream.push(null);
    }
  }
}
