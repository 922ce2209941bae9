import { mkdtempSync, rmSync } from "node:fs";
import { createServer, type AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, describe, expect, test } from "vitest";
import { createScanner } from "../../../scanner-daemon/scanner/scanner.ts";
import { publicKeyOf } from "../../../src/bus/keys.node.ts";
import type { Probe } from "../../../src/core/messages/probe.ts";
import { until } from "../../bus/until.ts";
import { realTools } from "../scanner/world.ts";
import { services, startJob } from "./scanner-part.ts";
import { SCANNERS, startWorld, type World } from "./world.ts";

const quiet = { debug: () => {}, info: () => {}, warning: () => {}, error: () => {} };

describe("a keeper and its scanners together", () => {
  const cleanUp: (() => Promise<unknown>)[] = [];
  afterEach(async () => {
    for (const end of cleanUp.splice(0).toReversed()) await end();
  });

  const startScanner = async (w: World, name: (typeof SCANNERS)[number]): Promise<void> => {
    const dataDir = mkdtempSync(join(tmpdir(), "portolan-whole-"));
    const scanner = createScanner({
      config: {
        name,
        region: "eu",
        dataDir,
        launcher: realTools.launcher,
        labMode: false,
        tools: realTools.tools,
        keeperPublicKeys: [publicKeyOf(w.seeds.keeper)],
      },
      bus: w.server.connect(),
      keys: { seed: w.seeds[name] },
      clock: { nowMs: w.nowMs },
      log: quiet,
      tuning: { heartbeatMs: 100, claimWaitMs: 200, sealEveryMs: 100 },
    });
    cleanUp.push(async () => {
      await scanner.stop();
      rmSync(dataDir, { recursive: true, force: true });
    });
    await scanner.start();
  };

  test("a port that closes is missing after one job, and closed only when its scanner and another one have looked three times more", async () => {
    const server = createServer((socket) => socket.on("error", () => {}).destroy());
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    const close = (): Promise<void> => new Promise((resolve) => server.close(() => resolve()));
    cleanUp.push(close);
    const { port } = server.address() as AddressInfo;
    const w = await startWorld([{ ports: String(port), pairsMax: 64, closeAfter: 1, confirm: true }]);
    cleanUp.push(w.stop);
    const ranges = [{ canonical: "127.0.0.1-127.0.0.4", text: "127.0.0.1-127.0.0.4" }];
    w.state.value = { ...w.state.value, rangeGroups: [{ name: "lan", builtIn: false, ranges }] };
    w.startKeeper("k1");
    for (const name of SCANNERS) await startScanner(w, name);
    const run = async (): Promise<void> => {
      const job = await startJob(w);
      await until("the job's end", async () => (await w.ledger.job(job))?.state === "complete");
    };
    await run();
    expect(await services(w)).toMatchObject([{ address: "127.0.0.1", port, state: "open" }]);
    await close();
    await run();
    await until("the miss", async () => (await services(w))[0]?.state === "missing");
    await until("the closing", async () => (await services(w))[0]?.state === "closed");
    const [probes = []] = await w.store.database.batch(
      [{ sql: "select body from record where kind = 'probe' order by body ->> '$.order.scanner'" }],
      "read",
    );
    const bodies = probes.map((probe) => JSON.parse(String(probe["body"])) as Probe);
    expect(bodies.map(({ order }) => order.scanner)).toEqual([...SCANNERS]);
    for (const body of bodies) {
      expect(body.results).toEqual([{ address: "127.0.0.1", protocol: "tcp", port, answer: "closed", connects: 3 }]);
      expect(body.endedAtMs - body.startedAtMs).toBeGreaterThanOrEqual(10_000);
    }
  });
});
