import { Command, Option } from "commander";
import { registerAudit } from "./commands/audit.ts";
import { registerBackup } from "./commands/backup.ts";
import { registerCertificate } from "./commands/certificate.ts";
import { registerChanges } from "./commands/changes.ts";
import { registerConfig } from "./commands/config.ts";
import { registerDeny } from "./commands/deny.ts";
import { registerDiff } from "./commands/diff.ts";
import { registerDoctor } from "./commands/doctor.ts";
import { registerExclude } from "./commands/exclude.ts";
import { registerExport } from "./commands/export.ts";
import { registerGroup } from "./commands/group.ts";
import { registerImport } from "./commands/import.ts";
import { registerJob } from "./commands/job.ts";
import { registerKnown } from "./commands/known.ts";
import { registerLedger } from "./commands/ledger.ts";
import { registerNats } from "./commands/nats.ts";
import { registerLegacyJob } from "./commands/legacy-job.ts";
import { registerPlan } from "./commands/plan.ts";
import { registerRange } from "./commands/range.ts";
import { registerRegion } from "./commands/region.ts";
import { registerRegionMoves } from "./commands/region-move.ts";
import { registerScanner } from "./commands/scanner.ts";
import { registerHost, registerService } from "./commands/service.ts";
import { registerToken } from "./commands/token.ts";
import { registerWebhook } from "./commands/webhook.ts";
import { VERSION } from "../core/version.ts";
import { addCompletion } from "./completion.ts";
import { createContext, type GlobalOptions, type Session } from "./context.ts";
import { exitCodeLines } from "./exit-codes.ts";
import { configureHelp, groupCommands } from "./help.ts";
import type { Io } from "./io.ts";

/** In the order of the help. */
const COMMANDS: readonly ((program: Command, session: Session) => void)[] = [
  registerPlan,
  registerJob,
  registerScanner,
  registerService,
  registerChanges,
  registerDiff,
  registerExport,
  registerRegion,
  registerRegionMoves,
  registerHost,
  registerGroup,
  registerRange,
  registerExclude,
  registerDeny,
  registerKnown,
  registerCertificate,
  registerLedger,
  registerImport,
  registerLegacyJob,
  registerBackup,
  registerToken,
  registerWebhook,
  registerAudit,
  registerConfig,
  registerDoctor,
  registerNats,
];

const EXAMPLES = `
The first hour needs five words: plan, job, scanner, service, region.

  portolan plan add office --range 192.0.2.0/24 -p 1-1024 --every 6h
  portolan job watch
  portolan service ls

Exit codes:
${exitCodeLines().join("\n")}

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
    .addOption(new Option("-q, --quiet", "no notes on standard error").conflicts("verbose"))
    .addOption(new Option("-v, --verbose", "each request to the API on standard error"))
    .addOption(new Option("--color <when>", "colours").choices(["auto", "always", "never"]).default("auto"))
    .addHelpText("after", EXAMPLES)
    .showHelpAfterError("(add --help for more)")
    .showSuggestionAfterError()
    .configureHelp(configureHelp)
    .helpOption("-h, --help", "show this help")
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
  for (const register of COMMANDS) register(program, session);
  addCompletion(program);
  groupCommands(program);
  return program;
}
