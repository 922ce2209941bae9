import { parseArgs } from "node:util";
import { PortolanError } from "../src/core/errors.ts";
import { readDaemonConfig } from "./config.ts";
import { runDaemon } from "./daemon.ts";
import { ONCE_EXIT, runOnce } from "./once.ts";
import { errorText, logFor, startLog } from "./log.ts";

const USAGE = `usage: portolan-daemon --config FILE [--once [--idle SECONDS]]

--once: scan what waits, report it and end, as for cron; ends when nothing has waited for --idle seconds (15).
Exit codes then: 0 done, 5 something did not answer, 6 some shards were only partly scanned, 130 interrupted.`;
const IDLE_S = 15;
const EXIT_BUG = 1;
const EXIT_CONFIG = 2;

/** Runs the daemon of a configuration file until SIGTERM or SIGINT; a second signal ends it at once. */
async function main(): Promise<number> {
  const stop = new AbortController();
  let isOnce = false;
  const onSignal = (): void => (stop.signal.aborted ? process.exit(EXIT_BUG) : stop.abort());
  for (const signal of ["SIGTERM", "SIGINT"] as const) process.on(signal, onSignal);
  try {
    const { values } = parseArgs({
      options: { config: { type: "string" }, once: { type: "boolean" }, idle: { type: "string" }, help: { type: "boolean", short: "h" } },
    });
    isOnce = values.once === true;
    if (values.help === true || values.config === undefined) {
      console.error(USAGE);
      return values.help === true ? 0 : EXIT_CONFIG;
    }
    const config = readDaemonConfig(values.config);
    startLog(config.logLevel);
    if (!isOnce) {
      await runDaemon(config, stop.signal);
      return 0;
    }
    const { exitCode, complete, partial, problem } = await runOnce(config, idleMsOf(values.idle), stop.signal);
    console.error(`portolan-daemon: ${complete} shards complete, ${partial} partial${problem === null ? "" : `: ${problem}`}`);
    return exitCode;
  } catch (error) {
    const isRefusal = error instanceof PortolanError || (error instanceof TypeError && "code" in error);
    console.error(`portolan-daemon: ${errorText(error)}`);
    if (!isRefusal) logFor("daemon").error("ended by a bug", { stack: error instanceof Error ? error.stack : null });
    if (isOnce && error instanceof PortolanError && error.code === "unavailable") return ONCE_EXIT.unavailable;
    return isRefusal ? EXIT_CONFIG : EXIT_BUG;
  }
}

function idleMsOf(text: string | undefined): number {
  const seconds = Number(text ?? IDLE_S);
  if (Number.isFinite(seconds) && seconds >= 1 && seconds <= 3_600) return seconds * 1_000;
  throw new PortolanError("invalid", `--idle is "${text}"; give seconds from 1 to 3600`);
}

process.exitCode = await main();
// Whatever still holds the event loop (a socket on its way) must not keep the process from ending.
setTimeout(() => process.exit(), 1_000).unref();
