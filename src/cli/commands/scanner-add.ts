import type { Command } from "commander";
import { collect } from "../arguments.ts";
import type { Session } from "../context.ts";

const EXAMPLES = `
Examples:
  portolan scanner add berlin-1 --address 203.0.113.7
  portolan scanner add tokyo-2 --address 203.0.113.9 --address 2001:db8::9 --region ap --out /secure/tokyo-2.json \\
    --nats tls://nats.ap.example:4222 --ca ap-ca.pem --keeper UBX…

Makes a key pair on this machine, registers the public half, and writes a file that holds all the scanner needs, the secret half
included: readable by you alone, never shown, never sent. Copy it to the scanner over a safe way and run there

  npm run scanner -- --config FILE`;

/** What the command line said. */
export type ScannerAddOptions = {
  readonly address: readonly string[];
  readonly region?: string;
  readonly out?: string;
  readonly nats?: string;
  readonly ca?: string;
  readonly keeper: readonly string[];
};

/** `portolan scanner add`: a key pair for another machine. */
export function registerScannerAdd(scanner: Command, session: Session): void {
  scanner
    .command("add <name>")
    .description("register a scanner and write its credentials file")
    .requiredOption("-a, --address <address>", "address it probes from; may be repeated", collect, [])
    .option("--region <region>", "region it belongs to (default: the one that answers)")
    .option("-o, --out <file>", "credentials file to write (default: NAME.json)")
    .option("--nats <url>", "NATS server of the region, as the scanner reaches it (default: the one of this machine)")
    .option("--ca <file>", "authority of that server's certificate, a PEM file (default: the one of this machine)")
    .option("--keeper <key>", "public key of a keeper of the region; may be repeated (default: the one of this machine)", collect, [])
    .addHelpText("after", EXAMPLES)
    .action(async (name: string, options: ScannerAddOptions) => {
      // Keys and the daemon's schema take longer to load than all the rest: only this command pays for them.
      const { addScanner } = await import("../enrol.ts");
      session.finish(await addScanner(session.context(), name, options));
    });
}
