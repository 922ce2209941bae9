import { mkdtemp, readFile, rm, stat, writeFile } from "node:fs/promises";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { choosePorts } from "../../src/local/choose-ports.ts";
import { keySeed, makeLayout, readPorts, writePorts } from "../../src/local/layout.ts";
import { lockFolder } from "../../src/local/lock.ts";
import { freePort } from "../../src/local/ports.ts";

let dir = "";
beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), "portolan-layout-"));
});
afterEach(async () => {
  await rm(dir, { recursive: true, force: true });
});

const mode = async (path: string): Promise<number> => (await stat(path)).mode & 0o777;

test("data folders and keys are readable by their owner only, and keys are made once", async () => {
  const layout = makeLayout(join(dir, "data"));
  const key = keySeed(layout, "keeper");
  expect(await mode(layout.dir)).toBe(0o700);
  expect(await mode(layout.keys)).toBe(0o700);
  expect(await mode(key.file)).toBe(0o600);
  expect(keySeed(makeLayout(join(dir, "data")), "keeper")).toEqual(key);
  expect(await readFile(key.file, "utf8")).toBe(`${key.seed}\n`);
});

test("a folder that cannot be made is refused by name with the remedy", async () => {
  const file = join(dir, "file");
  await writeFile(file, "");
  expect(() => makeLayout(join(file, "data"))).toThrow(
    `cannot write ${join(file, "data")} (ENOTDIR); choose a folder that you own with --dir`,
  );
});

test("a folder is claimed by one process at a time, and is free after the release", async () => {
  const lock = await lockFolder(dir);
  await expect(lockFolder(dir)).rejects.toThrow(`${dir} is already in use by a running portolan`);
  await lock.release();
  await (await lockFolder(dir)).release();
});

test("ports stay the same from one start to the next", async () => {
  const layout = makeLayout(dir);
  const first = await choosePorts(readPorts(layout, "eu"), {});
  writePorts(layout, "eu", first);
  expect(await choosePorts(readPorts(layout, "eu"), {})).toEqual(first);
  expect(new Set(Object.values(first)).size).toBe(7);
  expect(() => readPorts(layout, "us")).toThrow('belongs to region "eu"');
});

test("a port that was asked for and is taken is refused with the option that changes it", async () => {
  const port = await freePort();
  const server = createServer().listen(port, "127.0.0.1");
  try {
    await expect(choosePorts({}, { api: port })).rejects.toThrow(`port ${port} is in use by another program; choose another with --port`);
  } finally {
    server.close();
  }
});
