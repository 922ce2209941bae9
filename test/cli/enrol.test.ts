import { existsSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { publicKeyOf } from "../../src/bus/keys.node.ts";
import { type TestCli, startTestCli } from "./harness.ts";

let cli: TestCli;
beforeAll(async () => {
  cli = await startTestCli();
});
afterAll(() => cli.close());

function jsonOf(text: string): Record<string, unknown> {
  return JSON.parse(text) as Record<string, unknown>;
}

test("scanner add writes a key that only its owner can read, registers its public half, and repeats without a new one", async () => {
  const args = `scanner add berlin-1 --address 203.0.113.7 --region eu --nats nats://nats.example:4222 --keeper U${"B".repeat(55)}`;
  const ran = await cli.portolan(args);
  expect([ran.exitCode, ran.stderr]).toEqual([0, expect.stringContaining("npm run scanner")]);
  const file = join(cli.cwd, "berlin-1.json");
  expect(statSync(file).mode & 0o777).toBe(0o600);
  const { keySeed } = jsonOf(readFileSync(file, "utf8"));
  expect(String(keySeed)).toMatch(/^SU/);
  expect(ran.stdout + ran.stderr).not.toContain(String(keySeed));
  const { scanners } = await cli.api.store.registry.state();
  expect(scanners.find(({ name }) => name === "berlin-1")?.publicKey).toBe(publicKeyOf(String(keySeed)));
  const again = await cli.portolan(args);
  expect(again.exitCode).toBe(0);
  expect(jsonOf(readFileSync(file, "utf8"))["keySeed"]).toBe(keySeed);
});

test("scanner add leaves no file behind when it is refused, and never overwrites one", async () => {
  const rest = `--nats nats://nats.example:4222 --keeper U${"B".repeat(55)}`;
  const refused = await cli.portolan(`scanner add nowhere-1 --address 203.0.113.8 --region nosuch ${rest}`);
  expect(refused.exitCode).toBeGreaterThan(1);
  expect(existsSync(join(cli.cwd, "nowhere-1.json"))).toBe(false);
  writeFileSync(join(cli.cwd, "mine.txt"), "precious");
  const kept = await cli.portolan(`scanner add other-1 --address 203.0.113.8 --region eu --out mine.txt ${rest}`);
  expect(kept.exitCode).toBe(2);
  expect(readFileSync(join(cli.cwd, "mine.txt"), "utf8")).toBe("precious");
  const unknown = await cli.portolan("scanner add other-1 --address 203.0.113.8 --region eu");
  expect([unknown.exitCode, unknown.stderr]).toEqual([2, expect.stringContaining("--nats")]);
});
