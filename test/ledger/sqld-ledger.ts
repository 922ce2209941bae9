import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { type Database, httpDatabase } from "../../src/ledger/database.ts";
import { migrate } from "../../src/local/migrate.ts";
import { type Sqld, startSqld } from "../../src/local/sqld.ts";

export const LEDGER_MIGRATIONS = fileURLToPath(new URL("../../migrations/ledger", import.meta.url));

/** A sqld with the ledger's tables, in a directory that `stop` removes. `restart` kills it and starts it on the same port. */
export type LedgerServer = { readonly url: string; readonly database: Database; restart(): Promise<void>; stop(): Promise<void> };

export async function startLedgerDatabase(): Promise<LedgerServer> {
  const dir = mkdtempSync(join(tmpdir(), "portolan-ledger-"));
  let sqld: Sqld = await startSqld({ dir });
  const { url } = sqld;
  await migrate({ url, folder: LEDGER_MIGRATIONS });
  const database = httpDatabase({ url });
  return {
    url,
    database,
    restart: async () => {
      await sqld.kill9();
      sqld = await startSqld({ dir, httpPort: Number(new URL(url).port) });
    },
    stop: async () => {
      database.close();
      await sqld.stop();
      rmSync(dir, { recursive: true, force: true });
    },
  };
}
