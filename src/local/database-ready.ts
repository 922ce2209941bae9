import { parseArgs } from "node:util";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { PortolanError } from "../core/errors.ts";
import { bootstrap, openRegistry } from "../registry/registry.ts";
import { writeSecret } from "./layout.ts";
import { migrate } from "./migrate.ts";
import { applyDurability } from "./sqld.ts";
import { ROOT } from "./tools.ts";

// For a sqld that a service manager runs: makes it fit for traffic, or fails so that the unit does not count as started.

const USAGE = "usage: database-ready.ts --store registry|ledger --url URL --admin-url URL [--bootstrap REGION --admin-token-out FILE]";
const PATIENCE_MS = 30_000;
const STORES = ["registry", "ledger"] as const;

type Options = {
  readonly store: (typeof STORES)[number];
  readonly url: string;
  readonly adminUrl: string;
  readonly region: string | undefined;
  readonly tokenOut: string | undefined;
};

/** Strong durability, then the newest tables; repeated until sqld answers or 30 s are over. */
async function makeReady({ store, url, adminUrl }: Options): Promise<void> {
  const deadline = performance.now() + PATIENCE_MS;
  for (;;) {
    try {
      await applyDurability(adminUrl);
      await migrate({ url, folder: join(ROOT, "migrations", store) });
      return;
    } catch (error) {
      const isHopeless = error instanceof PortolanError && error.code !== "unavailable";
      if (isHopeless || performance.now() > deadline) throw error;
      await delay(100);
    }
  }
}

/** The first region and the first admin token of a new registry; a registry that has one is left alone. */
async function first({ url, region, tokenOut }: Options): Promise<void> {
  if (region === undefined) return;
  if (tokenOut === undefined) throw new PortolanError("invalid", "--bootstrap needs --admin-token-out, a file that only you can read");
  const registry = openRegistry({ url, timeoutMs: PATIENCE_MS });
  try {
    const issued = await bootstrap(registry, { region, tokenName: `${region} first admin` });
    if (issued === null) {
      console.error("this registry has tokens already; nothing was changed");
      return;
    }
    await registry.setHome(region);
    writeSecret(tokenOut, `${issued.text}\n`);
    console.error(`region "${region}" is there, and the first admin token is in ${tokenOut}`);
  } finally {
    registry.close();
  }
}

function readOptions(): Options {
  const text = { type: "string" } as const;
  const options = { store: text, url: text, "admin-url": text, bootstrap: text, "admin-token-out": text };
  const { values } = parseArgs({ options });
  const store = STORES.find((name) => name === values.store);
  const adminUrl = values["admin-url"];
  if (store === undefined || values.url === undefined || adminUrl === undefined) throw new PortolanError("invalid", USAGE);
  if (values.bootstrap !== undefined && store !== "registry") throw new PortolanError("invalid", "--bootstrap is for the registry");
  return { store, url: values.url, adminUrl, region: values.bootstrap, tokenOut: values["admin-token-out"] };
}

try {
  const options = readOptions();
  await makeReady(options);
  await first(options);
} catch (error) {
  console.error(`database-ready: ${error instanceof Error ? error.message : String(error)}`);
  process.exitCode = error instanceof PortolanError && error.code === "unavailable" ? 5 : 2;
}
