import { parseArgs } from "node:util";
import { PortolanError } from "../src/core/errors.ts";
import { readDaemonConfig } from "./config.ts";
import { runDaemon } from "./daemon.ts";
import { errorText, logFor, startLog } from "./log.ts";

const USAGE = "usage: portolan-daemon --config FILE";
const EXIT_BUG = 1;
const EXIT_CONFIG = 2;

/** Runs the daemon of a configuration file until SIGTERM or SIGINT; a second signal ends it at once. */
async function main(): Promise<number> {
  const stop = new AbortController();
  const onSignal = (): void => (stop.signal.aborted ? process.exit(EXIT_BUG) : stop.abort());
  for (const signal of ["SIGTERM", "SIGINT"] as const) process.on(signal, onSignal);
  try {
    const { values } = parseArgs({ options: { config: { type: "string" }, help: { type: "boolean", short: "h" } } });
    if (values.help === true || values.config === undefined) {
      console.error(USAGE);
      return values.help === true ? 0 : EXIT_CONFIG;
    }
    const config = readDaemonConfig(values.config);
    startLog(config.logLevel);
    await runDaemon(config, stop.signal);
    return 0;
  } catch (error) {
    const isRefusal = error instanceof PortolanError || (error instanceof TypeError && "code" in error);
    console.error(`portolan-daemon: ${errorText(error)}`);
    if (!isRefusal) logFor("daemon").error("ended by a bug", { stack: error instanceof Error ? error.stack : null });
    return isRefusal ? EXIT_CONFIG : EXIT_BUG;
  }
}

process.exitCode = await main();
// Whatever still holds the event loop (a socket on its way) must not keep the process from ending.
setTimeout(() => process.exit(), 1_000).unref();
