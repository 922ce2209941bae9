import { spawn, type ChildProcess } from "node:child_process";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { createServer, type AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterEach, describe, expect, test } from "vitest";
import type { DaemonConfigInput } from "../../../scanner-daemon/config.ts";
import { newSeed, publicKeyOf } from "../../../src/bus/keys.node.ts";
import { openLedger } from "../../../src/ledger/ledger.ts";
import { migrate } from "../../../src/local/migrate.ts";
import { startNats } from "../../../src/local/nats.ts";
import { freePort } from "../../../src/local/ports.ts";
import { startSqld } from "../../../src/local/sqld.ts";
import { openRegistry } from "../../../src/registry/registry.ts";
import { until } from "../../bus/until.ts";
import { planInput } from "../../registry/harness.ts";
import { migrationsOf } from "./stores.ts";

const MAIN = fileURLToPath(new URL("../../../scanner-daemon/main.ts", import.meta.url));

type Daemon = { child: ChildProcess; output: () => string; exited: Promise<number | null> };

describe("the daemon as a process", () => {
  const dir = mkdtempSync(join(tmpdir(), "portolan-daemon-"));
  const cleanUp: (() => Promise<unknown>)[] = [];
  afterEach(async () => {
    for (const end of cleanUp.splice(0).toReversed()) await end();
    rmSync(dir, { recursive: true, force: true });
  });

  const startDaemon = (config: unknown): Daemon => {
    mkdirSync(dir, { recursive: true });
    const file = join(dir, "daemon.json");
    writeFileSync(file, typeof config === "string" ? config : JSON.stringify(config));
    const child = spawn(process.execPath, ["--disable-warning=ExperimentalWarning", MAIN, "--config", file], {
      stdio: ["ignore", "pipe", "pipe"],
    });
    let text = "";
    for (const stream of [child.stdout, child.stderr]) stream.on("data", (chunk: Buffer) => (text += chunk.toString("utf8")));
    const exited = new Promise<number | null>((resolve) => child.once("exit", (code) => resolve(code)));
    cleanUp.push(async () => {
      child.kill("SIGKILL");
      await exited;
    });
    return { child, output: () => text, exited };
  };

  test("a configuration that lacks a field ends at once, and the message names the file and the field", async () => {
    for (const [config, words] of [
      [
        { region: "eu", roles: ["keeper"], dataDir: "d", nats: { url: "nats://127.0.0.1:1" }, keySeedFile: "s", keeper: { name: "k1" } },
        /daemon\.json.*ledger/,
      ],
      [{ region: "E U", roles: ["scanner"] }, /region: 1 to 63/],
      ["{ no json", /is no JSON/],
    ] as const) {
      const daemon = startDaemon(config);
      expect(await daemon.exited).toBe(2);
      expect(daemon.output()).toMatch(words);
    }
  });

  test("it waits for NATS and the ledger, says so, works when they come, and drains on SIGTERM", async () => {
    mkdirSync(dir, { recursive: true });
    const seed = newSeed();
    const key = { name: "local", publicKey: publicKeyOf(seed) };
    writeFileSync(join(dir, "seed"), `${seed}\n`, { mode: 0o600 });
    const [natsPort, ledgerPort, ledgerAdminPort, registryPort, healthPort] = [
      await freePort(),
      await freePort(),
      await freePort(),
      await freePort(),
      await freePort(),
    ];
    const config: DaemonConfigInput = {
      region: "eu",
      dataDir: join(dir, "state"),
      roles: ["scanner", "keeper"],
      nats: { url: `nats://127.0.0.1:${natsPort}` },
      keySeedFile: join(dir, "seed"),
      keeperPublicKeys: [key.publicKey],
      registry: { url: `http://127.0.0.1:${registryPort}` },
      ledger: { url: `http://127.0.0.1:${ledgerPort}`, adminUrl: `http://127.0.0.1:${ledgerAdminPort}` },
      scanner: { name: "local" },
      keeper: { name: "k1", tickMs: 50, connectTimeoutMs: 500 },
      healthPort,
    };
    const daemon = startDaemon(config);
    const health = async (path: string): Promise<number> =>
      (await fetch(`http://127.0.0.1:${healthPort}${path}`).catch(() => null))?.status ?? 0;
    await until("it lives", async () => (await health("/healthz")) === 200);
    await until("it says what it waits for", () => daemon.output().includes("waiting for NATS"));
    expect(await health("/readyz")).toBe(503);
    expect(await health("/other")).toBe(404);

    const nats = await startNats({ dir: join(dir, "nats"), region: "eu", port: natsPort, keepers: [key], scanners: [] });
    cleanUp.push(() => nats.stop());
    await until("it says that the ledger is away", () => daemon.output().includes("the lease cannot be had"));
    const ledgerSqld = await startSqld({ dir: join(dir, "ledger"), httpPort: ledgerPort, adminPort: ledgerAdminPort });
    cleanUp.push(() => ledgerSqld.stop());
    await migrate({ url: ledgerSqld.url, folder: migrationsOf("ledger") });
    const registrySqld = await startSqld({ dir: join(dir, "registry"), httpPort: registryPort });
    cleanUp.push(() => registrySqld.stop());
    await migrate({ url: registrySqld.url, folder: migrationsOf("registry") });
    const registry = openRegistry({ url: registrySqld.url, timeoutMs: 30_000 });
    const ledger = openLedger({ url: ledgerSqld.url, region: "eu" });
    cleanUp.push(async () => {
      registry.close();
      ledger.close();
    });
    await registry.addRegion("eu");
    await registry.addScanner({ name: "local", region: "eu", addresses: ["127.0.0.1"], publicKey: key.publicKey });
    await until("it is ready", async () => (await health("/readyz")) === 200);

    const listener = createServer((socket) => socket.destroy());
    await new Promise<void>((resolve) => listener.listen(0, "127.0.0.1", resolve));
    cleanUp.push(() => new Promise((resolve) => listener.close(resolve)));
    const { port } = listener.address() as AddressInfo;
    const { value: plan } = await registry.addPlan(planInput({ name: "self", ranges: ["127.0.0.1"], ports: String(port), home: "eu" }));
    const command = await ledger.submitCommand("start-job", { planId: plan.id }, { nowMs: Date.now() });
    const answer = await until("the job begins", () => ledger.awaitCommand(command, 20_000));
    expect(answer).toMatchObject({ ok: true });
    const job = await until("the job ends", async () => (await ledger.listJobs({})).items.find((one) => one.state !== "running"));
    expect(job).toMatchObject({ state: "complete", plan: "self" });
    expect((await ledger.listServices({})).items).toMatchObject([{ address: "127.0.0.1", port, state: "open" }]);

    daemon.child.kill("SIGTERM");
    expect(await daemon.exited).toBe(0);
    expect(daemon.output()).toContain("the daemon has ended");
  });
});
