import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { migrate } from "../../src/local/migrate.ts";
import { type Sqld, startSqld } from "../../src/local/sqld.ts";

/** A ledger's database on its own sqld. */
export type TestFacts = { readonly sqld: Sqld; stop(): Promise<void> };

export async function startTestFacts(): Promise<TestFacts> {
  const dir = mkdtempSync(join(tmpdir(), "portolan-facts-"));
  const sqld = await startSqld({ dir });
  const stop = async (): Promise<void> => {
    await sqld.stop();
    rmSync(dir, { recursive: true, force: true });
  };
  try {
    await migrate({ url: sqld.url, folder: fileURLToPath(new URL("../../migrations/ledger", import.meta.url)) });
  } catch (error) {
    await stop();
    throw error;
  }
  return { sqld, stop };
}
