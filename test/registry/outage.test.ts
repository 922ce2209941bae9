import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { freePort } from "../../src/local/ports.ts";
import { migrate } from "../../src/local/migrate.ts";
import { type Sqld, startSqld } from "../../src/local/sqld.ts";
import { type Registry, openRegistry } from "../../src/registry/registry.ts";
import { REGISTRY_MIGRATIONS } from "./harness.ts";

let dir: string;
let primary: Sqld;
let replica: Sqld;
/** As in another region: reads at the replica, writes at the primary. */
let registry: Registry;

beforeAll(async () => {
  dir = mkdtempSync(join(tmpdir(), "portolan-outage-"));
  const grpcPort = await freePort();
  primary = await startSqld({ dir: join(dir, "primary"), grpcPort });
  await migrate({ url: primary.url, folder: REGISTRY_MIGRATIONS });
  replica = await startSqld({ dir: join(dir, "replica"), primaryGrpcUrl: `http://127.0.0.1:${grpcPort}` });
  registry = openRegistry({ url: replica.url, primaryUrl: primary.url });
  await registry.addRegion("eu");
});

afterAll(async () => {
  await replica?.stop();
  await primary?.stop();
  rmSync(dir, { recursive: true, force: true });
});

async function within(ms: number, work: Promise<unknown>): Promise<void> {
  const before = performance.now();
  await work;
  expect(performance.now() - before).toBeLessThan(ms);
}

test("whoever wrote reads its own write at once, though its reads go to a replica", async () => {
  for (let index = 0; index < 50; index++) {
    await registry.addRangeGroup({ name: `g${index}`, ranges: [] });
    expect((await registry.state()).rangeGroups.map((group) => group.name)).toContain(`g${index}`);
  }
});

test("a token that was made a moment ago is known at the replica", async () => {
  for (let index = 0; index < 20; index++) {
    const { text } = await registry.tokens.issue({ name: `t${index}`, role: "viewer", expiresAtMs: null });
    expect(await registry.tokens.verify(text)).toMatchObject({ name: `t${index}` });
  }
});

test("a frozen primary costs writes a clear refusal in time, reads nothing; after the thaw a repeat changes nothing twice", async () => {
  const before = (await registry.state()).version;
  process.kill(primary.pid, "SIGSTOP");
  try {
    await within(
      15_000,
      expect(registry.addRegion("us")).rejects.toMatchObject({ code: "unavailable", message: expect.stringContaining(primary.url) }),
    );
    const reader = openRegistry({ url: replica.url, primaryUrl: primary.url });
    await within(15_000, expect(reader.state()).resolves.toMatchObject({ version: before }));
  } finally {
    process.kill(primary.pid, "SIGCONT");
  }
  const deadline = performance.now() + 60_000;
  const repeat = async (): Promise<void> => {
    try {
      await registry.addRegion("us");
    } catch (error) {
      if (performance.now() > deadline) throw error;
      await repeat();
    }
  };
  await repeat();
  const after = await registry.state();
  expect(after.regions.map((region) => region.name)).toEqual(["eu", "us"]);
  expect(after.version).toBe(before + 1);
});

test("a dead primary leaves reads and sign-in going", async () => {
  const { text } = await registry.tokens.issue({ name: "survivor", role: "viewer", expiresAtMs: null });
  const version = (await registry.state()).version;
  const reader = openRegistry({ url: replica.url, primaryUrl: primary.url });
  await expect.poll(async () => (await reader.state()).version).toBe(version);
  const local = openRegistry({ url: replica.url });
  await expect.poll(async () => (await local.tokens.verify(text))?.name).toBe("survivor");
  await primary.kill9();
  await within(15_000, expect(reader.state()).resolves.toMatchObject({ version }));
  await within(15_000, expect(reader.tokens.verify(text)).resolves.toMatchObject({ name: "survivor" }));
  await within(15_000, expect(reader.addRegion("ap")).rejects.toMatchObject({ code: "unavailable" }));
});
