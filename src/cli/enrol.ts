import { existsSync, readFileSync, rmSync } from "node:fs";
import { join, resolve } from "node:path";
import { publicKeyOf } from "../bus/keys.node.ts";
import { PortolanError } from "../core/errors.ts";
import { nameSchema } from "../core/messages/common.ts";
import {
  changeScannerWay,
  newScannerKey,
  parseScannerCredentials,
  readLocalCredentials,
  writeScannerCredentials,
} from "../local/credentials.ts";
import { bodyOf } from "./client.ts";
import { answeringRegion } from "./commands/region.ts";
import type { ScannerAddOptions } from "./commands/scanner-add.ts";
import type { Context } from "./context.ts";
import { EXIT } from "./io.ts";

/**
 * Makes a key pair, writes the credentials file and registers the public key.
 *
 * May be repeated: a file that is there already for this scanner keeps its key. When the API refuses, no new file is left behind.
 */
export async function addScanner(context: Context, name: string, options: ScannerAddOptions): Promise<number> {
  if (!nameSchema.safeParse(name).success) {
    throw new PortolanError(
      "invalid",
      `"${name}" is no name for a scanner; use 1 to 63 of a-z, 0-9, - and _, beginning and ending with a letter or digit`,
    );
  }
  if (options.address.length === 0) throw new PortolanError("invalid", "say which address the scanner probes from: --address 203.0.113.7");
  const api = context.api();
  const region = options.region ?? (await answeringRegion(api));
  const file = resolve(context.io.cwd, options.out ?? `${name}.json`);
  const way = wayToRegion(context, options, region);
  const wasThere = existsSync(file);
  const { seed, publicKey } = wasThere ? keyOf(file, { name, region }) : newScannerKey();
  const register = { name, region, addresses: [...options.address], publicKey };
  if (!context.isDryRun) {
    if (wasThere) changeScannerWay(file, way);
    else writeScannerCredentials(file, { name, region, seed, ...way });
  }
  try {
    const scanner = await bodyOf(api.v1.scanners.$post({ json: register }));
    context.output.one({ scanner, file }, [
      `Scanner ${scanner.name} of region ${scanner.region} is registered.`,
      `${wasThere ? "Kept" : "Wrote"} ${file} (only you can read it).`,
    ]);
  } catch (error) {
    // After a time-out it may have been registered: then the key must not be lost, and repeating the command settles it.
    const isRefused = !(error instanceof PortolanError && error.code === "unavailable");
    if (isRefused && !wasThere && !context.isDryRun) rmSync(file, { force: true });
    if (!isRefused) context.output.note(`${file} is kept. Repeat the same command: it is safe.`);
    throw error;
  }
  context.output.note(`Copy that file to the scanner and run there, in the folder of Portolan: npm run scanner -- --config ${name}.json`);
  if (isLoopback(way.natsUrl)) {
    context.output.note(
      `But ${way.natsUrl} is reachable from this machine only. For another machine start the region with "npm start -- --nats-host ADDRESS --nats-port 4222", and repeat this command there.`,
    );
  }
  return EXIT.ok;
}

type Way = { readonly natsUrl: string; readonly natsCa?: string; readonly keeperPublicKeys: readonly string[] };

function wayToRegion(context: Context, options: ScannerAddOptions, region: string): Way {
  const local = readLocalCredentials(join(context.io.cwd, "data", "credentials.json"));
  const known = local?.region === region ? local : null;
  const natsUrl = options.nats ?? known?.natsUrl;
  const keeperPublicKeys = options.keeper.length > 0 ? options.keeper : known?.keeperPublicKeys;
  if (natsUrl === undefined || keeperPublicKeys === undefined || keeperPublicKeys.length === 0) {
    throw new PortolanError(
      "invalid",
      `how a scanner reaches region "${region}" is not known here. Run this in the folder where that region's "npm start" runs, or give --nats URL and --keeper KEY`,
    );
  }
  // The authority of this installation; a server that is named by hand may have another one.
  const natsCa =
    options.ca === undefined
      ? options.nats === undefined
        ? known?.natsCa
        : undefined
      : readFileSync(resolve(context.io.cwd, options.ca), "utf8");
  return { natsUrl, keeperPublicKeys, ...(natsCa === undefined ? {} : { natsCa }) };
}

function keyOf(
  file: string,
  wanted: { readonly name: string; readonly region: string },
): { readonly seed: string; readonly publicKey: string } {
  const config = parseScannerCredentials(readFileSync(file, "utf8"), file);
  if (config.scanner?.name !== wanted.name || config.region !== wanted.region || config.keySeed === undefined) {
    throw new PortolanError("conflict", `${file} exists and belongs to something else; choose another file with --out`);
  }
  return { seed: config.keySeed, publicKey: publicKeyOf(config.keySeed) };
}

function isLoopback(url: string): boolean {
  const host = URL.canParse(url) ? new URL(url).hostname : "";
  return host === "localhost" || host === "[::1]" || host.startsWith("127.");
}
