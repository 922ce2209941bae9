import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { httpDatabase } from "../../../src/ledger/database.ts";
import { migrate } from "../../../src/local/migrate.ts";
import { startSqld } from "../../../src/local/sqld.ts";

/** Folder of a store's migrations. */
export function migrationsOf(store: "ledger" | "registry"): string {
  return fileURLToPath(new URL(`../../../migrations/${store}`, import.meta.url));
}

/** An empty ledger on a sqld of its own, which a test may kill and start again. */
export async function startLedgerSqld() {
  const dir = mkdtempSync(join(tmpdir(), "portolan-keeper-ledger-"));
  let sqld = await startSqld({ dir });
  const [httpPort, adminPort] = [sqld.url, sqld.adminUrl].map((url) => Number(new URL(url).port));
  await migrate({ url: sqld.url, folder: migrationsOf("ledger") });
  const database = httpDatabase({ url: sqld.url });
  return {
    url: sqld.url,
    adminUrl: sqld.adminUrl,
    database,
    kill9: () => sqld.kill9(),
    /** On the same files and ports. */
    restart: async () => {
      sqld = await startSqld({ dir, ...(httpPort === undefined || adminPort === undefined ? {} : { httpPort, adminPort }) });
    },
    stop: async () => {
      database.close();
      await sqld.stop();
      rmSync(dir, { recursive: true, force: true });
    },
  };
}
