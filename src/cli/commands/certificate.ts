import { readFileSync } from "node:fs";
import { resolve } from "node:path";
import type { Command } from "commander";
import { sha256Hex, verifyText } from "../../bus/keys.node.ts";
import { checkCertificate } from "../../core/certificate/check.ts";
import { PortolanError } from "../../core/errors.ts";
import type { Context, Session } from "../context.ts";
import { EXIT } from "../io.ts";

const BYTES_MAX = 64 * 1024 * 1024;
const EXAMPLES = `
Examples:
  portolan service why 192.0.2.10 443 --json | portolan certificate check -
  portolan certificate check certificate.json --json

It asks nobody: ids are hashed anew, signatures verified, the tile is cut again from the job, and the rules followed.
Ends with 0 when the certificate proves its verdict and with 1 when it does not; each problem is a line.`;

/** `portolan certificate …`: evidence that anybody can check. */
export function registerCertificate(program: Command, session: Session): void {
  const certificate = program.command("certificate").description("the evidence behind a verdict");
  certificate
    .command("check <file>")
    .description("check a certificate without the ledger; - reads standard input")
    .addHelpText("after", EXAMPLES)
    .action((file: string) => session.finish(check(session.context(), file)));
}

function check(context: Context, file: string): number {
  const result = checkCertificate(readCertificate(context, file), { sha256: sha256Hex, verify: verifyText });
  if (result.ok) {
    context.output.one(result, [`Valid: the evidence proves that the service is ${result.verdict}.`]);
    return EXIT.ok;
  }
  context.output.one(result, result.problems);
  context.output.note(
    `Not valid: ${result.problems.length === 50 ? "50 or more problems" : `problems: ${result.problems.length}`}. Do not trust this verdict.`,
  );
  return EXIT.findings;
}

function readCertificate({ io }: Context, file: string): unknown {
  const name = file === "-" ? "standard input" : file;
  let text: string;
  try {
    text = readFileSync(file === "-" ? 0 : resolve(io.cwd, file), "utf8");
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code ?? "error";
    throw new PortolanError("invalid", `cannot read the certificate in ${name} (${code}); check the path`, { cause: error });
  }
  if (text.length > BYTES_MAX) throw new PortolanError("too-large", `${name} is larger than any certificate; check the path`);
  try {
    return JSON.parse(text);
  } catch (error) {
    throw new PortolanError("invalid", `${name} holds no JSON; write the certificate with "portolan service why ADDRESS PORT --json"`, {
      cause: error,
    });
  }
}
