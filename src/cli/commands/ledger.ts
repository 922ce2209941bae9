import type { Command } from "commander";
import { zstdDecompressSync } from "node:zlib";
import { sha256Hex } from "../../bus/keys.node.ts";
import { PortolanError } from "../../core/errors.ts";
import { httpDatabase } from "../../ledger/database.ts";
import { ledgerOn } from "../../ledger/ledger.ts";
import { verify } from "../../ledger/verify.ts";
import { formatCount } from "../../web/format.ts";
import { bodyOf } from "../client.ts";
import type { Context, Session } from "../context.ts";
import { EXIT } from "../io.ts";
import { openShadow } from "../ledger-shadow.ts";

const READ_TIMEOUT_MS = 60_000;
const VERIFY_HELP = `
Replays every record of a region's ledger into an empty one in memory and compares what both say about every service. It only
reads, and takes as long as a rebuild. It asks the ledger's database itself, so run it beside the ledger:

  portolan ledger verify --ledger-url http://127.0.0.1:8081

Ends with 0 when both are equal and with 1 when they are not.`;
const REBUILD_HELP = `
Example:
  portolan ledger rebuild --yes

The keeper empties the register and makes it anew from the records, which stay. Meanwhile the register is incomplete, nothing
closes, and what scanners report is taken as usual. It needs an administrator's token and --yes.`;

type VerifyOptions = { readonly ledgerUrl?: string; readonly ledgerToken?: string };

/** `portolan ledger …`: the register against its records. */
export function registerLedger(program: Command, session: Session): void {
  const ledger = program.command("ledger").description("the register against the records that it is made from");
  ledger
    .command("verify")
    .description("replay all records and compare")
    .option("--ledger-url <url>", "address of the ledger's database (default: PORTOLAN_LEDGER_URL)")
    .option("--ledger-token <token>", "its token (default: PORTOLAN_LEDGER_TOKEN)")
    .addHelpText("after", VERIFY_HELP)
    .action(async (options: VerifyOptions) => session.finish(await verifyLedger(session.context(), options)));
  ledger
    .command("rebuild")
    .description("make the register anew from the records")
    .option("--yes", "really do it")
    .addHelpText("after", REBUILD_HELP)
    .action(async (options: { readonly yes?: boolean }) => session.finish(await rebuildLedger(session.context(), options.yes === true)));
}

async function verifyLedger(context: Context, options: VerifyOptions): Promise<number> {
  const { env } = context.io;
  const url = options.ledgerUrl ?? env["PORTOLAN_LEDGER_URL"];
  if (url === undefined || !URL.canParse(url)) {
    throw new PortolanError(
      "invalid",
      "the address of the ledger's database is not known; give --ledger-url http://HOST:PORT or PORTOLAN_LEDGER_URL",
    );
  }
  const authToken = options.ledgerToken ?? env["PORTOLAN_LEDGER_TOKEN"];
  const live = httpDatabase({ url, timeoutMs: READ_TIMEOUT_MS, ...(authToken === undefined ? {} : { authToken }) });
  const shadow = await openShadow();
  const decompress = (bytes: Uint8Array): Uint8Array => zstdDecompressSync(bytes);
  try {
    const target = { ledger: ledgerOn(shadow, "verify", { decompress }), database: shadow };
    const result = await verify(live, { shadow: target, sha256: sha256Hex, decompress });
    context.output.one(result, [
      `${formatCount(result.records)} records, ${formatCount(result.live.services)} services`,
      `register  ${result.live.hash}${result.live.settled ? "" : "  (not settled: it was taking news)"}`,
      `replayed  ${result.replayed.hash}`,
      result.ok ? "Equal: the register is what its records say." : "Not equal.",
      ...result.differences.map((key) => `  differs: ${key}`),
    ]);
    if (result.ok) return EXIT.ok;
    context.output.note(
      result.live.settled
        ? "Make the register anew: portolan ledger rebuild --yes"
        : "The ledger was still at work; repeat when it is quiet before you conclude anything.",
    );
    return EXIT.findings;
  } finally {
    shadow.close();
    live.close();
  }
}

async function rebuildLedger(context: Context, isSure: boolean): Promise<number> {
  if (!isSure && !context.isDryRun) {
    throw new PortolanError("invalid", "the register is empty until it is made anew; say --yes when that is meant");
  }
  const result = await bodyOf(context.api().v1.ledger.rebuild.$post());
  context.output.one(result, ["The keeper makes the register anew; until it has ended, lists are incomplete and nothing closes."]);
  return EXIT.ok;
}
