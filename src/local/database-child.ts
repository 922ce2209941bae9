import { join } from "node:path";
import { migrate } from "./migrate.ts";
import { type SqldOptions, startSqld } from "./sqld.ts";
import type { Running } from "./supervisor.ts";
import { ROOT } from "./tools.ts";

/** Starts a sqld that takes writes and brings its tables up to date. Throws what either throws; nothing is left running then. */
export async function startDatabase(options: SqldOptions, migrations: "registry" | "ledger"): Promise<Running> {
  const sqld = await startSqld(options);
  try {
    await migrate({ url: sqld.url, folder: join(ROOT, "migrations", migrations) });
    return sqld;
  } catch (error) {
    await sqld.stop();
    throw error;
  }
}
