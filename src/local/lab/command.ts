import { execFile, type ExecFileException } from "node:child_process";
import { PortolanError } from "../../core/errors.ts";

const OUTPUT_BYTES_MAX = 512 * 1024 * 1024;
const COMMAND_TIMEOUT_MS = 30_000;

/**
 * Runs a program without a shell, feeding `input` to it, and returns its standard output.
 * Throws `unavailable` with the program's own words when it is missing, fails or lasts over 30 s.
 */
export function runCommand(argv: readonly string[], input = ""): Promise<string> {
  const [program = "", ...args] = argv;
  return new Promise((resolve, reject) => {
    const done = (error: ExecFileException | null, stdout: string, stderr: string): void => {
      if (error === null) resolve(stdout);
      else
        reject(
          new PortolanError("unavailable", `${argv.join(" ").slice(0, 200)} failed: ${(stderr.trim() || error.message).slice(0, 1_000)}`),
        );
    };
    const child = execFile(program, args, { timeout: COMMAND_TIMEOUT_MS, maxBuffer: OUTPUT_BYTES_MAX }, done);
    // The program may end before it has read everything; its exit code tells what matters.
    child.stdin?.on("error", () => undefined);
    child.stdin?.end(input);
  });
}
