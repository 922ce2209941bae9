import fc from "fast-check";
import { createServer, type AddressInfo } from "node:net";
import { describe, expect, onTestFinished, test } from "vitest";
import { sha256Hex } from "../../../src/bus/keys.node.ts";
import { formatAddress } from "../../../src/core/address.ts";
import { connectShardPairs, judge } from "../../../src/core/masscan/outcome.ts";
import { connectPairs, runConnect } from "../../../scanner-daemon/scanner/connect-run.ts";
import { startProber } from "../../../scanner-daemon/scanner/prober-client.ts";
import { assignment, realTools, runInput } from "./world.ts";

const settings = { timeoutMs: 1_000, parallel: 50, ratePps: 10_000, retries: 0 };

/** A loopback listener on a port of the system's choice. */
async function listen(): Promise<number> {
  const server = createServer((socket) => socket.on("error", () => {}).destroy());
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  onTestFinished(() => new Promise<void>((resolve) => server.close(() => resolve())));
  return (server.address() as AddressInfo).port;
}

/** A port that was free a moment ago. */
async function closedPort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as AddressInfo;
  await new Promise<void>((resolve) => server.close(() => resolve()));
  return port;
}

function loopback(ports: readonly number[], change: Parameters<typeof assignment>[0] = {}): ReturnType<typeof assignment> {
  const text = ports.toSorted((a, b) => a - b).join(",");
  return assignment({ engine: "connect", ranges: ["127.0.0.1"], ports: text, pairs: ports.length, ...change });
}

describe("the prober", () => {
  test("tells open from closed, and keeps the order of the pairs", async () => {
    const [open, closed] = [await listen(), await closedPort()];
    const prober = startProber(realTools);
    const pairs = [open, closed, open, closed].map((port) => ["127.0.0.1", port] as const);
    expect(await prober.connect(pairs, settings, 30_000)).toMatchObject({ answers: "ococ", tries: 4, error: null });
    expect(await prober.connect([], settings, 30_000)).toMatchObject({ answers: "" });
    expect(await prober.end()).toBe(true);
  });

  test("counts a pair that could not be probed as an error, not as an answer", async () => {
    const prober = startProber(realTools);
    const { answers, error } = await prober.connect([["255.255.255.255", 80]], settings, 30_000);
    expect(answers).toBe("e");
    expect(error).toMatch(/E[A-Z]+/);
    await prober.end();
  });

  test("keeps to its rate", async () => {
    const port = await closedPort();
    const prober = startProber(realTools);
    const startMs = performance.now();
    await prober.connect(
      Array.from({ length: 60 }, () => ["127.0.0.1", port] as const),
      { ...settings, ratePps: 200 },
      30_000,
    );
    expect(performance.now() - startMs).toBeGreaterThan(59 * 5 - 30);
    await prober.end();
  });

  test("answers calls with an error when it is gone", async () => {
    const prober = startProber(realTools);
    prober.kill();
    await expect(prober.look(null)).rejects.toThrow(/prober/);
    const missing = startProber({ ...realTools, launcher: ["/nonexistent/launcher"] });
    await expect(missing.look(null)).rejects.toThrow(/ENOENT/);
  });
});

describe("a connect run", () => {
  test("finds the open ports, and is complete when every pair got an answer", async () => {
    const ports = [await listen(), await listen(), await closedPort()];
    const task = loopback(ports, { canaries: [{ address: "127.0.0.1", port: ports[0] ?? 0 }] });
    const input = await runInput(realTools, task);
    const { evidence, probesSent, stopped } = await runConnect(input);
    expect(judge(evidence, task, sha256Hex)).toEqual({ kind: "complete" });
    expect(input.sightings.map(({ address, port }) => [formatAddress(address), port])).toEqual(
      ports
        .slice(0, 2)
        .toSorted((a, b) => a - b)
        .map((port) => ["127.0.0.1", port]),
    );
    expect({ probesSent, stopped }).toEqual({ probesSent: 3, stopped: null });
  });

  test("is partial with local errors, with UDP ports, without a prober, and when it is stopped", async () => {
    const unroutable = loopback([80], { ranges: ["255.255.255.255"] });
    const runs = [
      { task: unroutable, how: realTools, reason: /1 pairs were not probed/ },
      { task: loopback([80], { ports: "U:53" }), how: realTools, reason: /TCP only/ },
      { task: loopback([80]), how: { ...realTools, launcher: ["/nonexistent/launcher"] }, reason: /did not end by itself/ },
    ];
    for (const { task, how, reason } of runs) {
      const { evidence, stopped } = await runConnect(await runInput(how, task));
      const outcome = judge(evidence, task, sha256Hex);
      expect(outcome.kind === "partial" && [...outcome.reasons, stopped].join("\n")).toMatch(reason);
    }
    const slow = loopback([await closedPort()], { ranges: ["127.0.0.0/24"], pairs: 256, rateLimitPps: 1 });
    const input = await runInput(realTools, slow);
    const running = runConnect(input);
    input.abort.abort("cancelled: enough");
    expect(await running).toMatchObject({ stopped: "cancelled: enough", evidence: { ended: false } });
  });

  test("shards are disjoint and cover the tile, whatever ranges, ports and shard count", () => {
    const ranges = fc.subarray(["127.0.0.0/28", "127.0.1.7", "127.0.2.1-127.0.2.9", "2001:db8::/125"], { minLength: 1 });
    fc.assert(
      fc.property(ranges, fc.constantFrom("80", "1-3,9", "22,80-90"), fc.integer({ min: 1, max: 7 }), (some, ports, shardCount) => {
        const tasks = Array.from({ length: shardCount }, (_, index) =>
          assignment({ engine: "connect", ranges: some, ports, shardCount, key: { ...assignment().key, shard: index + 1 } }),
        );
        const probed = tasks.map((task) => [...connectPairs(task)].map(({ address, port }) => `${formatAddress(address)} ${port}`));
        const all = [...connectPairs(assignment({ ranges: some, ports }))];
        expect(new Set(probed.flat()).size).toBe(all.length);
        expect(probed.flat()).toHaveLength(all.length);
        expect(probed.map((pairs) => pairs.length)).toEqual(tasks.map((task) => connectShardPairs({ ...task, pairs: all.length })));
      }),
    );
  });
});
