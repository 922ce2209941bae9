import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { createLease } from "../../../scanner-daemon/keeper/lease.ts";
import { planFromRegistry, seedOf } from "../../../scanner-daemon/keeper/planning.ts";
import { assignmentOf, jobFacts } from "../../../scanner-daemon/keeper/specs.ts";
import { publicKeyOf, newSeed } from "../../../src/bus/keys.node.ts";
import { parseAddress } from "../../../src/core/address.ts";
import { decodeSightingRows, decodeSightingTable, encodeSightings } from "../../../src/core/columns.ts";
import { seedSchema } from "../../../src/core/messages/common.ts";
import { assignmentSchema, type JobSpec } from "../../../src/core/messages/job.ts";
import { containsPort, protocolOf, type Protocol } from "../../../src/core/port.ts";
import { containsAddress, normaliseRanges } from "../../../src/core/range.ts";
import type { ScannerLive } from "../../../src/ledger/types.ts";
import { resolveSnapshot } from "../../../src/registry/rules/resolve.ts";
import type { Plan, RegistryState } from "../../../src/registry/types.ts";
import { regionOf } from "../../registry/harness.ts";
import { planOf } from "./world.ts";

const silent = { debug: () => undefined, info: () => undefined, warning: () => undefined, error: () => undefined };

describe("the lease", () => {
  const world = () => {
    const clock = { ms: 0, answers: true, ours: true };
    const answer = <T>(value: T): Promise<T> => (clock.answers ? Promise.resolve(value) : Promise.reject(new Error("away")));
    const ledger = {
      takeLease: () => answer(clock.ours ? { epoch: 7 } : null),
      renewLease: () => answer(clock.ours),
      releaseLease: () => Promise.resolve(),
    };
    const lease = createLease({ ledger, name: "k1", nowMs: () => clock.ms, monotonicMs: () => clock.ms, ttlMs: 10_000, log: silent });
    return { clock, lease };
  };

  test("is over for its holder at 80 % of its time when it could not be renewed, whatever the holder does", async () => {
    const { clock, lease } = world();
    expect(lease.epoch()).toBeNull();
    await lease.step();
    expect(lease.epoch()).toBe(7);
    clock.answers = false;
    clock.ms = 7_999;
    await lease.step();
    expect(lease.epoch()).toBe(7);
    clock.ms = 8_000;
    expect(lease.epoch()).toBeNull();
    clock.answers = true;
    await lease.step();
    await lease.step();
    expect(lease.epoch()).toBe(7);
  });

  test("is renewed at a third of its time and lasts from the moment before the renewal was asked for", async () => {
    const { clock, lease } = world();
    await lease.step();
    clock.ms = 3_400;
    await lease.step();
    clock.ms = 11_399;
    expect(lease.epoch()).toBe(7);
    clock.ms = 11_400;
    expect(lease.epoch()).toBeNull();
  });

  test("is gone the moment the ledger says that another has it", async () => {
    const { clock, lease } = world();
    await lease.step();
    clock.ours = false;
    clock.ms = 4_000;
    await lease.step();
    expect(lease.epoch()).toBeNull();
  });
});

describe("planning from the registry", () => {
  const key = publicKeyOf(newSeed());
  const state = (plan: Partial<Plan>): RegistryState => ({
    version: 3,
    home: null,
    regions: [regionOf("eu")],
    scanners: ["s1", "s2"].map((name) => ({
      name,
      region: "eu",
      addresses: ["127.0.0.1"],
      publicKey: key,
      enabled: true,
      mayProbe: null,
      mayNotProbe: [],
      createdAtMs: 0,
    })),
    groups: [],
    rangeGroups: [{ name: "lan", builtIn: false, ranges: [{ canonical: "192.0.2.0/24", text: "192.0.2.0/24" }] }],
    exclusions: [
      { id: "1", ranges: ["192.0.2.64/26"], ports: null, owner: "o", reason: "r", expiresAtMs: 1_000, createdAtMs: 0 },
      { id: "2", ranges: ["192.0.2.1"], ports: "80", owner: "o", reason: "r", expiresAtMs: null, createdAtMs: 0 },
    ],
    knownGood: [],
    plans: [planOf(plan)],
    webhooks: [],
  });
  const plan = (over: Partial<Plan> = {}, live: Record<string, Partial<ScannerLive>> = {}, nowMs = 500): JobSpec => {
    const snapshot = resolveSnapshot(state(over), nowMs);
    const [first] = snapshot.plans;
    if (first === undefined) throw new Error("no plan");
    const heard = new Map(Object.entries(live).map(([scanner, rest]) => [scanner, liveOf(scanner, rest)]));
    const settings = { tickMs: 1, leaseTtlMs: 1, waitS: 5, connectTimeoutMs: 900, engineGraceMs: 0 };
    return planFromRegistry({
      plan: first,
      snapshot,
      cause: "manual",
      region: "eu",
      live: heard,
      frontier: { ["0".repeat(32)]: 4 },
      seed: "77",
      nowMs,
      settings,
    });
  };

  test("exclusions of addresses and of pairs hold while they last", () => {
    const pairs = (spec: JobSpec): number =>
      Array.from({ length: jobFacts("x", spec).tiling.count }, (_, i) => jobFacts("x", spec).tile(i).tile.pairs).reduce((a, b) => a + b, 0);
    expect(pairs(plan())).toBe((256 - 64) * 2 - 1);
    expect(pairs(plan({}, {}, 1_000))).toBe(256 * 2 - 1);
  });

  test("the spec carries frontier, seed, deadline and what the scanners said they can", () => {
    const spec = plan(
      { engine: "auto", ports: "1-65535", pairsMax: null },
      {
        s1: { engines: ["masscan", "connect"], masscanVersion: "1.3.2" },
        s2: { engines: ["masscan", "connect"], masscanVersion: "1.3.9" },
      },
    );
    expect(spec).toMatchObject({
      seed: "77",
      frontier: { ["0".repeat(32)]: 4 },
      plannedAtMs: 500,
      deadlineAtMs: 600_500,
      masscanFamily: "1.3",
      home: "eu",
    });
    expect(new Set(spec.blocks.map((block) => block.engine))).toEqual(new Set(["masscan"]));
    const lame = plan({ engine: "auto", ports: "1-65535", pairsMax: null }, { s2: { engines: ["connect"] } });
    expect(new Set(lame.blocks.map((block) => block.engine))).toEqual(new Set(["connect"]));
  });

  test("scanners with different families of masscan cannot share a job, and the message names both", () => {
    const live = { s1: { masscanVersion: "1.3.2" }, s2: { masscanVersion: "1.4.0" } };
    expect(() => plan({ engine: "masscan" }, live)).toThrow(/s1 \(masscan 1\.3\) and s2 \(masscan 1\.4\)/);
    expect(() => plan({ engine: "connect" }, live)).not.toThrow();
  });

  test("a seed is one that masscan takes, whatever the random bytes are", () => {
    fc.assert(fc.property(fc.uint8Array({ minLength: 8, maxLength: 8 }), (bytes) => seedSchema.safeParse(seedOf(bytes)).success));
    expect(seedOf(new Uint8Array(8))).toBe("1");
  });

  test("every shard of every tile makes a valid assignment that differs from its siblings in shard and scanner only", () => {
    const spec = plan({ pairsMax: 40 });
    const job = jobFacts("a".repeat(64), spec);
    for (let tile = 0; tile < job.tiling.count; tile += 1) {
      const [one, two] = [1, 2].map((shard) => assignmentOf(job, { job: job.id, tile, shard, attempt: 1 }));
      expect(assignmentSchema.safeParse(one).success).toBe(true);
      expect({ ...one, key: null, scanner: null }).toEqual({ ...two, key: null, scanner: null });
      expect([one?.scanner, two?.scanner]).toEqual(["s1", "s2"]);
    }
    expect(() => assignmentOf(job, { job: job.id, tile: 0, shard: 3, attempt: 1 })).toThrow(/no shard 3/);
  });

  test("the walk along sorted rows finds exactly the rows outside the tile", () => {
    const spec = plan({ pairsMax: 60, ports: "80,443,U:53", engine: "masscan" });
    const [block] = spec.blocks;
    if (block === undefined) throw new Error("no block");
    const job = jobFacts("a".repeat(64), { ...spec, blocks: [...spec.blocks, { ...block, ranges: ["2001:db8::/122"] }] });
    const sighting = fc.record({
      address: fc
        .oneof(
          fc.integer({ min: 0, max: 255 }).map((n) => `192.0.2.${n}`),
          fc.integer({ min: 0, max: 80 }).map((n) => `2001:db8::${n.toString(16)}`),
        )
        .map(parseAddress),
      protocol: fc.constantFrom<Protocol>("tcp", "udp"),
      port: fc.constantFrom(80, 443, 53, 81),
      observedAtS: fc.constant(1),
    });
    fc.assert(
      fc.property(fc.array(sighting, { maxLength: 12 }), fc.nat(job.tiling.count - 1), (sightings, index) => {
        const payload = encodeSightings(sightings);
        const { tile, outside } = job.tile(index);
        const ranges = normaliseRanges(tile.ranges);
        const naive = decodeSightingRows(payload).find(
          ({ hex, protocol, port }) =>
            !containsAddress(ranges, BigInt(`0x${hex}`)) || !containsPort(tile.ports, protocolOf(protocol), port),
        );
        expect(outside(decodeSightingTable(payload))).toEqual(naive ?? null);
      }),
      { numRuns: 500 },
    );
  });
});

function liveOf(scanner: string, rest: Partial<ScannerLive>): ScannerLive {
  return {
    scanner,
    region: "eu",
    version: "0",
    engines: ["masscan", "connect"],
    masscanVersion: null,
    notReady: null,
    running: null,
    spoolBytes: 0,
    sentAtMs: 0,
    receivedAtMs: 0,
    ...rest,
  };
}
