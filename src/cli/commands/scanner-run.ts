import { spawn } from "node:child_process";
import { resolve } from "node:path";
import { fileURLToPath } from "node:url";
import type { Command } from "commander";
import { PortolanError } from "../../core/errors.ts";
import { wholeNumber } from "../arguments.ts";
import type { Context, Session } from "../context.ts";
import { EXIT } from "../io.ts";

const DAEMON = fileURLToPath(new URL("../../../scanner-daemon/main.ts", import.meta.url));
const HELP = `
For scanners that cron starts: it claims what waits for this scanner, scans, reports and ends. Unlike an upload this has coverage, so it can close
services too. The file is the one that "portolan scanner add" wrote. Exit code 6: some shards were only partly scanned, the next run goes on.

  portolan scanner run --once --config berlin-1.json`;

type Options = { readonly once?: boolean; readonly config: string; readonly idle: number };

/** `portolan scanner run`: this machine as a scanner. */
export function registerScannerRun(scanner: Command, session: Session): void {
  scanner
    .command("run")
    .description("be a scanner on this machine, for good or (--once) until nothing waits")
    .option("--once", "end when nothing has waited for a while")
    .requiredOption("--config <file>", "the scanner's file")
    .option("--idle <seconds>", "how long is a while, with --once", wholeNumber, 15)
    .addHelpText("after", HELP)
    .action(async (options: Options) => session.finish(await runScanner(session.context(), options)));
}

async function runScanner({ io, isDryRun }: Context, { once, config, idle }: Options): Promise<number> {
  const args = ["--config", resolve(io.cwd, config), ...(once === true ? ["--once", "--idle", String(idle)] : [])];
  if (isDryRun) {
    io.stdout.write(`${[process.execPath, DAEMON, ...args].join(" ")}\n`);
    return EXIT.ok;
  }
  const child = spawn(process.execPath, [DAEMON, ...args], { cwd: io.cwd, stdio: ["ignore", "inherit", "inherit"] });
  const interrupt = (): void => void child.kill("SIGINT");
  io.signal.addEventListener("abort", interrupt, { once: true });
  try {
    return await new Promise((resolveCode, reject) => {
      child.once("error", (error) =>
        reject(new PortolanError("unavailable", `the scanner cannot be started: ${error.message}`, { cause: error })),
      );
      child.once("exit", (code) => resolveCode(code ?? EXIT.interrupted));
    });
  } finally {
    io.signal.removeEventListener("abort", interrupt);
  }
}
