import { execFile } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { createClient } from "@libsql/client/web";
import { afterAll, beforeAll, expect, test } from "vitest";
import { type Sqld, startSqld } from "../../src/local/sqld.ts";
import { ROOT } from "../../src/local/tools.ts";
import { openRegistry } from "../../src/registry/registry.ts";

const dir = mkdtempSync(join(tmpdir(), "portolan-ready-"));
let sqld: Sqld;
beforeAll(async () => {
  sqld = await startSqld({ dir: join(dir, "registry") });
});
afterAll(async () => {
  await sqld.stop();
  rmSync(dir, { recursive: true, force: true });
});

const run = promisify(execFile);
const ready = (...more: readonly string[]) => {
  const args = [join(ROOT, "src/local/database-ready.ts"), "--store", "registry", "--url", sqld.url, "--admin-url", sqld.adminUrl, ...more];
  return run(process.execPath, args, { timeout: 120_000, env: { PATH: process.env["PATH"], NODE_NO_WARNINGS: "1" } });
};

test("a database that a service manager started gets strong durability, its tables, and once its first token", async () => {
  // As after a start: sqld has forgotten it.
  await fetch(`${sqld.adminUrl}/v1/namespaces/default/config`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({ block_reads: false, block_writes: false, durability_mode: "relaxed", txn_timeout_s: 5 }),
  });
  const file = join(dir, "token");
  const { stdout, stderr } = await ready("--bootstrap", "eu", "--admin-token-out", file);
  const client = createClient({ url: sqld.url });
  expect((await client.execute("pragma synchronous")).rows[0]?.[0]).toBe(2);
  client.close();
  const token = readFileSync(file, "utf8").trim();
  expect([statSync(file).mode & 0o777, (stdout + stderr).includes(token)]).toEqual([0o600, false]);
  const registry = openRegistry({ url: sqld.url });
  expect(await registry.tokens.verify(token)).toMatchObject({ role: "admin" });
  expect((await registry.state()).home).toBe("eu");
  registry.close();
  expect((await ready("--bootstrap", "eu", "--admin-token-out", file)).stderr).toContain("nothing was changed");
  expect(readFileSync(file, "utf8").trim()).toBe(token);
});

test("wrong options are refused with the usage", async () => {
  await expect(ready("--bootstrap", "eu")).rejects.toMatchObject({ code: 2, stderr: expect.stringContaining("--admin-token-out") });
  await expect(run(process.execPath, [join(ROOT, "src/local/database-ready.ts")])).rejects.toMatchObject({
    code: 2,
    stderr: expect.stringContaining("usage"),
  });
});
