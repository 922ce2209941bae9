import { mkdtemp, readFile, rm, stat } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { readKeySeed } from "../../scanner-daemon/config.ts";
import { publicKeyOf } from "../../src/bus/keys.node.ts";
import {
  newScannerKey,
  parseScannerCredentials,
  readLocalCredentials,
  writeLocalCredentials,
  writeScannerCredentials,
} from "../../src/local/credentials.ts";

let dir = "";
beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), "portolan-credentials-"));
});
afterEach(async () => {
  await rm(dir, { recursive: true, force: true });
});

test("a credentials file is secret and is a whole configuration of the scanner daemon", async () => {
  const key = newScannerKey();
  const keeper = newScannerKey().publicKey;
  const file = join(dir, "berlin-1.json");
  writeScannerCredentials(file, {
    name: "berlin-1",
    region: "eu",
    natsUrl: "nats://192.0.2.1:4222",
    keeperPublicKeys: [keeper],
    seed: key.seed,
  });
  expect((await stat(file)).mode & 0o777).toBe(0o600);
  const config = parseScannerCredentials(await readFile(file, "utf8"), file);
  expect(config).toMatchObject({ region: "eu", roles: ["scanner"], keeperPublicKeys: [keeper], scanner: { name: "berlin-1" } });
  expect(publicKeyOf(readKeySeed(config))).toBe(key.publicKey);
});

test("credentials with a wrong field are refused by its name", () => {
  const input = { name: "Berlin 1", region: "eu", natsUrl: "nats://192.0.2.1:4222", keeperPublicKeys: [], seed: newScannerKey().seed };
  expect(() => writeScannerCredentials(join(dir, "x.json"), input)).toThrow(
    /scanner\.name.*keeperPublicKeys|keeperPublicKeys.*scanner\.name/s,
  );
});

test("the local CLI's credentials survive a round trip; damaged ones are named", async () => {
  const file = join(dir, "credentials.json");
  expect(readLocalCredentials(file)).toBeNull();
  const credentials = {
    url: "http://127.0.0.1:4280",
    token: "ptl_x",
    region: "eu",
    natsUrl: "nats://127.0.0.1:4222",
    keeperPublicKeys: [],
  };
  writeLocalCredentials(file, credentials);
  expect(readLocalCredentials(file)).toEqual(credentials);
  expect((await stat(file)).mode & 0o777).toBe(0o600);
  await rm(file);
  await import("node:fs/promises").then((fs) => fs.writeFile(file, "{"));
  expect(() => readLocalCredentials(file)).toThrow(`${file} is damaged`);
});
