import { CommanderError, InvalidArgumentError } from "commander";
import { PortolanError } from "../core/errors.ts";
import { DryRun } from "./client.ts";
import { exitCodeOf } from "./exit-codes.ts";
import { EXIT, type Io, type Sink } from "./io.ts";
import { createProgram } from "./program.ts";
import { asCalled, visibleLines } from "./text.ts";

/** Runs one command line (without the program's own name). Returns the exit code; never throws for anything that a person can do. */
export async function run(args: readonly string[], io: Io): Promise<number> {
  let exitCode: number = EXIT.ok;
  const program = createProgram(io, (code) => (exitCode = code));
  try {
    await program.parseAsync(args, { from: "user" });
    return io.signal.aborted ? EXIT.interrupted : exitCode;
  } catch (error) {
    return explain(error, io);
  }
}

/** The process itself: its arguments, streams, signals and exit code. */
export async function runProcess(): Promise<void> {
  const interrupt = new AbortController();
  process.on("SIGINT", () => {
    // The second one means now.
    if (interrupt.signal.aborted) process.exit(EXIT.interrupted);
    interrupt.abort();
  });
  // A reader that has seen enough (`| head`) closes the pipe: no error.
  process.stdout.on("error", (error: NodeJS.ErrnoException) => process.exit(error.code === "EPIPE" ? EXIT.ok : EXIT.usage));
  process.exitCode = await run(process.argv.slice(2), {
    stdout: sinkOf(process.stdout),
    stderr: sinkOf(process.stderr),
    env: process.env,
    cwd: process.cwd(),
    fetch: (request) => fetch(request),
    now: () => Date.now(),
    sleep: (durationMs) => sleep(durationMs, interrupt.signal),
    signal: interrupt.signal,
  });
}

function explain(error: unknown, io: Io): number {
  if (io.signal.aborted) return EXIT.interrupted;
  // Of our own checks of arguments, after commander's.
  if (error instanceof InvalidArgumentError) {
    io.stderr.write(`portolan: ${visibleLines(asCalled(error.message, io.env))}\n`);
    return EXIT.usage;
  }
  // Commander has already said what was wrong; help and version end this way too.
  if (error instanceof CommanderError) return error.exitCode === 0 ? EXIT.ok : EXIT.usage;
  if (error instanceof DryRun) {
    const { method, path, body } = error;
    io.stdout.write(`${JSON.stringify({ method, path, body })}\n`);
    io.stderr.write("Dry run: nothing was changed; this is what would be sent.\n");
    return EXIT.ok;
  }
  if (error instanceof PortolanError) {
    io.stderr.write(`portolan: ${visibleLines(asCalled(error.message, io.env))}\n`);
    return exitCodeOf(error.code);
  }
  const text = error instanceof Error ? (error.stack ?? error.message) : String(error);
  io.stderr.write(`portolan: a bug of the command line itself; please report it:\n${visibleLines(text)}\n`);
  return EXIT.usage;
}

function sinkOf(stream: NodeJS.WriteStream): Sink {
  return {
    isTTY: stream.isTTY === true,
    get columns() {
      return stream.columns > 0 ? stream.columns : 80;
    },
    write: (text) => void stream.write(text),
    stream,
  };
}

function sleep(durationMs: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) return resolve();
    const end = (): void => {
      clearTimeout(timer);
      signal.removeEventListener("abort", end);
      resolve();
    };
    const timer = setTimeout(end, durationMs);
    signal.addEventListener("abort", end);
    return undefined;
  });
}

if (import.meta.main) await runProcess();
