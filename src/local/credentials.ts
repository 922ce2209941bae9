import { readFileSync } from "node:fs";
import { z } from "zod";
import { type DaemonConfig, type DaemonConfigInput, parseDaemonConfig } from "../../scanner-daemon/config.ts";
import { newSeed, publicKeyOf } from "../bus/keys.node.ts";
import { PortolanError } from "../core/errors.ts";
import { nameSchema, publicKeySchema } from "../core/messages/common.ts";
import { writeSecret } from "./layout.ts";

/** What a scanner on another machine has to know of its region. */
export type ScannerCredentialsInput = {
  readonly name: string;
  readonly region: string;
  readonly natsUrl: string;
  /** PEM text of what the server's certificate is checked against; with it there has to be TLS. */
  readonly natsCa?: string;
  readonly keeperPublicKeys: readonly string[];
  /** The scanner's own nkey seed. */
  readonly seed: string;
};

/** A fresh key pair for a scanner: the registry gets the public half, the credentials file the seed. */
export function newScannerKey(): { readonly seed: string; readonly publicKey: string } {
  const seed = newSeed();
  return { seed, publicKey: publicKeyOf(seed) };
}

/**
 * Text of a credentials file: a whole configuration of the scanner daemon, with the seed inside.
 * The spool goes beside the file, where the daemon is started. Throws `invalid` when a field is wrong.
 */
function scannerCredentials(input: ScannerCredentialsInput): string {
  const config: DaemonConfigInput = {
    region: input.region,
    dataDir: `portolan-${input.name}`,
    roles: ["scanner"],
    nats: { url: input.natsUrl, ...(input.natsCa === undefined ? {} : { ca: input.natsCa }) },
    keySeed: input.seed,
    keeperPublicKeys: [...input.keeperPublicKeys],
    scanner: { name: input.name },
  };
  parseDaemonConfig(config, `credentials of scanner "${input.name}"`);
  return `${JSON.stringify(config, null, 2)}\n`;
}

/** Writes a credentials file that only its owner can read (mode 0600). */
export function writeScannerCredentials(file: string, input: ScannerCredentialsInput): void {
  writeSecret(file, scannerCredentials(input));
}

/** Has a credentials file name another way to the region; all else in it, the key and a person's own settings, stays. Throws `invalid`. */
export function changeScannerWay(file: string, way: Pick<ScannerCredentialsInput, "natsUrl" | "natsCa" | "keeperPublicKeys">): void {
  const text = readFileSync(file, "utf8");
  const before = parseScannerCredentials(text, file);
  const nats = { url: way.natsUrl, ...(way.natsCa === undefined ? {} : { ca: way.natsCa }) };
  const isSame =
    before.nats.url === nats.url && before.nats.ca === nats.ca && before.keeperPublicKeys.join() === way.keeperPublicKeys.join();
  if (isSame || before.nats.caFile !== undefined) return;
  const changed = { ...(JSON.parse(text) as Record<string, unknown>), nats, keeperPublicKeys: way.keeperPublicKeys };
  writeSecret(file, `${JSON.stringify(changed, null, 2)}\n`);
}

/** Reads a credentials file as the daemon does; throws `invalid` that says what is wrong. */
export function parseScannerCredentials(text: string, source: string): DaemonConfig {
  try {
    return parseDaemonConfig(JSON.parse(text), source);
  } catch (error) {
    if (error instanceof PortolanError) throw error;
    throw new PortolanError("invalid", `${source} is no JSON: ${error instanceof Error ? error.message : String(error)}`, { cause: error });
  }
}

const localCredentialsSchema = z.object({
  url: z.url(),
  token: z.string().min(1),
  region: nameSchema,
  natsUrl: z.url(),
  natsCa: z.string().optional(),
  keeperPublicKeys: z.array(publicKeySchema),
});
/** What `npm start` leaves for the CLI on the same machine, in `data/credentials.json`. */
export type LocalCredentials = z.infer<typeof localCredentialsSchema>;

/** Reads `credentials.json`; null when there is none. Throws `invalid` when it is damaged. */
export function readLocalCredentials(file: string): LocalCredentials | null {
  let text: string;
  try {
    text = readFileSync(file, "utf8");
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return null;
    throw new PortolanError("unavailable", `cannot read ${file}: ${error instanceof Error ? error.message : String(error)}`, {
      cause: error,
    });
  }
  const parsed = localCredentialsSchema.safeParse(parse(text));
  if (!parsed.success) throw new PortolanError("invalid", `${file} is damaged; delete it and start again to have a new token made`);
  return parsed.data;
}

/** Writes `credentials.json` (mode 0600). */
export function writeLocalCredentials(file: string, credentials: LocalCredentials): void {
  writeSecret(file, `${JSON.stringify(credentials, null, 2)}\n`);
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}
