import { Command, Option } from "commander";
import { registerCertificate } from "./commands/certificate.ts";
import { registerChanges } from "./commands/changes.ts";
import { registerConfig } from "./commands/config.ts";
import { registerDiff } from "./commands/diff.ts";
import { registerExclude } from "./commands/exclude.ts";
import { registerGroup } from "./commands/group.ts";
import { registerJob } from "./commands/job.ts";
import { registerKnown } from "./commands/known.ts";
import { registerLedger } from "./commands/ledger.ts";
import { registerPlan } from "./commands/plan.ts";
import { registerRange } from "./commands/range.ts";
import { registerRegion } from "./commands/region.ts";
import { registerScanner } from "./commands/scanner.ts";
import { registerHost, registerService } from "./commands/service.ts";
import { registerToken } from "./commands/token.ts";
import { VERSION } from "../core/version.ts";
import { createContext, type GlobalOptions, type Session } from "./context.ts";
import type { Io } from "./io.ts";

const EXAMPLES = `
The first hour needs five words: plan, job, scanner, service, region.

  portolan plan add office --range 192.0.2.0/24 -p 1-1024 --every 6h
  portolan job watch
  portolan service ls

Exit codes: 0 done, 1 findings (--fail-on-findings), 2 wrong usage, 3 not allowed, 4 not found,
5 not available or too late, 6 only partly covered, 130 interrupted.

Scan only networks that you own or may scan.`;

/** The whole command line. Commands call `finish` with their exit code; wrong usage throws commander's error. */
export function createProgram(io: Io, finish: (exitCode: number) => void): Command {
  const program = new Command("portolan")
    .description("Charts the open ports of your own networks.")
    .version(VERSION, "-V, --version", "print the version")
    .addOption(new Option("--url <url>", "address of the API"))
    .addOption(new Option("--token <token>", "API token; better in PORTOLAN_TOKEN, which other users cannot see"))
    .addOption(new Option("--json", "print one JSON document").conflicts("ndjson"))
    .addOption(new Option("--ndjson", "print one JSON value a line"))
    .addOption(new Option("--dry-run", "print the change that would be sent, and send nothing"))
    .addOption(new Option("-q, --quiet", "no notes on standard error"))
    .addOption(new Option("--color <when>", "colours").choices(["auto", "always", "never"]).default("auto"))
    .addHelpText("after", EXAMPLES)
    .showHelpAfterError("(add --help for more)")
    .showSuggestionAfterError()
    .configureHelp({ showGlobalOptions: true })
    .configureOutput({
      writeOut: (text) => io.stdout.write(text),
      writeErr: (text) => io.stderr.write(text),
      getOutHelpWidth: () => Math.min(io.stdout.columns, 100),
      getErrHelpWidth: () => Math.min(io.stderr.columns, 100),
      getOutHasColors: () => false,
      getErrHasColors: () => false,
    })
    .exitOverride();
  const session: Session = { context: () => createContext(io, program.opts<GlobalOptions>()), finish };
  for (const register of [
    registerPlan,
    registerJob,
    registerScanner,
    registerService,
    registerChanges,
    registerDiff,
    registerRegion,
    registerHost,
    registerGroup,
    registerRange,
    registerExclude,
    registerKnown,
    registerCertificate,
    registerLedger,
    registerToken,
    registerConfig,
  ]) {
    register(program, session);
  }
  return program;
}
