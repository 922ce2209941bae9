import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { sha256Hex } from "../../../src/bus/keys.node.ts";
import { masscanArgv, masscanRunFiles, rangesDigest } from "../../../src/core/masscan/argv.ts";
import { connectShardPairs, interfaceDropsMax, judge, type JudgedTask } from "../../../src/core/masscan/outcome.ts";
import type { ConnectEvidence, Effective, Evidence, MasscanEvidence } from "../../../src/core/messages/report.ts";
import { parseRange } from "../../../src/core/range.ts";

const task: JudgedTask = {
  key: { job: "a".repeat(64), tile: 0, shard: 2, attempt: 1 },
  shardCount: 3,
  engine: "masscan",
  ranges: ["198.18.0.0/24", "2001:db8::/124"],
  ports: "22,80-83,U:53",
  pairs: 272 * 6,
  seed: "18446744073709551615",
  rateLimitPps: 3_000,
  retries: 1,
  waitS: 5,
  masscanFamily: "1.3",
  canaries: [
    { address: "198.18.0.1", port: 80 },
    { address: "198.18.0.2", port: 80 },
    { address: "198.18.0.3", port: 80 },
  ],
};
const rangesSha256 = rangesDigest(task.ranges.map(parseRange), sha256Hex);
const effective: Effective = {
  seed: task.seed,
  rateLimitPps: 3_000,
  shard: 2,
  shardCount: 3,
  retries: 1,
  ports: "22,80-83,U:53",
  rangesSha256,
  version: "1.3.2",
};
const complete: MasscanEvidence = {
  engine: "masscan",
  exitCode: 0,
  signal: null,
  signalSent: false,
  reachedWaiting: true,
  savedResume: false,
  errorLines: [],
  stdoutEnded: true,
  lastLineWhole: true,
  linesRefused: 0,
  firstRefused: null,
  waitedS: 5,
  pokes: 0,
  effective,
  offloadsOn: [],
  interfaceDrops: 0,
  canariesBefore: { asked: 3, answered: 3 },
  canariesAfter: { asked: 3, answered: 2 },
};
const connectTask: JudgedTask = { ...task, engine: "connect", ports: "22,80-83", pairs: 272 * 5 };
const connected: ConnectEvidence = {
  engine: "connect",
  rangesSha256,
  ports: "22,80-83",
  shard: 2,
  shardCount: 3,
  pairs: 453,
  open: 3,
  closed: 400,
  filtered: 50,
  errors: 0,
  errorText: null,
  ended: true,
  canariesBefore: { asked: 3, answered: 3 },
  canariesAfter: { asked: 3, answered: 2 },
};

/** Every way in which one fact alone takes a masscan run's completeness away. */
const masscanFlaws: fc.Arbitrary<Partial<MasscanEvidence>> = fc.oneof(
  fc.record({ exitCode: fc.oneof(fc.constant(null), fc.integer({ min: 1, max: 255 })) }),
  fc.record({ signal: fc.constantFrom("SIGINT", "SIGTERM", "SIGKILL", "SIGSEGV") }),
  fc.constant({ signalSent: true }),
  fc.constant({ reachedWaiting: false }),
  fc.constant({ savedResume: true }),
  fc.record({ errorLines: fc.array(fc.string({ maxLength: 500 }), { minLength: 1, maxLength: 20 }) }),
  fc.constant({ stdoutEnded: false }),
  fc.constant({ lastLineWhole: false }),
  fc.record({ linesRefused: fc.integer({ min: 1 }) }),
  fc.record({ waitedS: fc.double({ min: 0, max: 3.999, noNaN: true }) }),
  fc.constant({ effective: null }),
  fc.record({ effective: effectiveFlaws().map((flaw) => ({ ...effective, ...flaw })) }),
  fc.record({ offloadsOn: fc.array(fc.constantFrom("gro", "gso", "tso", "lro"), { minLength: 1, maxLength: 4 }) }),
  fc.record({ interfaceDrops: fc.integer({ min: interfaceDropsMax(task) + 1 }) }),
);

function effectiveFlaws(): fc.Arbitrary<Partial<Effective>> {
  return fc.oneof(
    fc.record({ seed: fc.constantFrom("7", "18446744073709551614") }),
    fc.record({ rateLimitPps: fc.constantFrom(100, 2_999, 3_000.5, 3_001) }),
    fc.record({ shard: fc.constantFrom(1, 3) }),
    fc.record({ shardCount: fc.constantFrom(1, 2, 4) }),
    fc.record({ retries: fc.constantFrom(0, 2) }),
    fc.record({ ports: fc.constantFrom("22,80-83", "22,80-84,U:53") }),
    fc.record({ rangesSha256: fc.constant("0".repeat(64)) }),
    fc.record({ version: fc.constantFrom("1.4.0", "1.0.5", "2.3.2", "1.30.0") }),
  );
}

const canaryFlaws = fc.oneof(
  fc.record({ canariesBefore: fc.constantFrom({ asked: 3, answered: 1 }, { asked: 2, answered: 2 }, { asked: 0, answered: 0 }) }),
  fc.record({ canariesAfter: fc.constantFrom({ asked: 3, answered: 0 }, { asked: 1, answered: 1 }, { asked: 3, answered: 4 }) }),
);

describe("judge", () => {
  test("a masscan run for which every condition holds is complete", () => {
    expect(judge(complete, task, sha256Hex)).toEqual({ kind: "complete" });
    // masscan counts in whole seconds; a few poked or dropped packets are no loss; one of three canaries may be down.
    const edge = { ...complete, waitedS: 4, pokes: 3, interfaceDrops: interfaceDropsMax(task) };
    expect(judge(edge, task, sha256Hex)).toEqual({ kind: "complete" });
  });

  test("each failed condition of masscan alone makes the run partial, with a reason", () => {
    fc.assert(
      fc.property(fc.oneof(masscanFlaws, canaryFlaws), (flaw) => {
        expect(judge({ ...complete, ...flaw }, task, sha256Hex).kind).toBe("partial");
      }),
      { numRuns: 1_000 },
    );
  });

  test("a connect run in which every pair got an answer is complete, and each failed condition alone makes it partial", () => {
    expect(judge(connected, connectTask, sha256Hex)).toEqual({ kind: "complete" });
    const flaws: Partial<ConnectEvidence>[] = [
      { ended: false },
      { errors: 1 },
      { errors: 1, closed: 399 },
      { closed: 399 },
      { pairs: 452, closed: 399 },
      { shard: 1 },
      { shardCount: 4 },
      { ports: "22" },
      { rangesSha256: "0".repeat(64) },
    ];
    for (const flaw of flaws) expect(judge({ ...connected, ...flaw }, connectTask, sha256Hex).kind).toBe("partial");
    fc.assert(fc.property(canaryFlaws, (flaw) => judge({ ...connected, ...flaw }, connectTask, sha256Hex).kind === "partial"));
  });

  test("no evidence, another engine's evidence and an unreadable assignment are partial, and nothing throws", () => {
    expect(judge(null, task, sha256Hex).kind).toBe("partial");
    expect(judge(connected, task, sha256Hex).kind).toBe("partial");
    expect(judge(complete, { ...task, ranges: ["nonsense"] }, sha256Hex).kind).toBe("partial");
    expect(judge(complete, { ...task, ports: "" }, sha256Hex).kind).toBe("partial");
    expect(judge({} as Evidence, task, sha256Hex).kind).toBe("partial");
  });

  test("the pairs of all connect shards add up to the tile", () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 10_000 }), fc.integer({ min: 1, max: 50 }), (pairs, shardCount) => {
        const shards = Array.from({ length: shardCount }, (_, index) => ({ key: { ...task.key, shard: index + 1 }, shardCount, pairs }));
        expect(shards.reduce((sum, shard) => sum + connectShardPairs(shard), 0)).toBe(pairs);
      }),
    );
  });
});

describe("masscan's arguments", () => {
  const adapter = { ipv4: "198.19.255.1", ipv6: "2001:db8:ffff::1", routerMac: "02:00:00:00:00:02" };

  test("every value of the mapping is passed, ranges by file only", () => {
    const argv = masscanArgv(task, { rangesFile: "/run/ranges", adapter });
    const text = argv.join(" ");
    expect(text).toBe(
      "-iL /run/ranges -p 22,80-83,U:53 --rate 3000 --seed 18446744073709551615 --shard 2/3 --retries 1 --wait 5 " +
        "--adapter-ip 198.19.255.1 --adapter-ip 2001:db8:ffff::1 --router-mac 02-00-00-00-00-02 -oD -",
    );
    expect(masscanRunFiles(task).ranges).toBe("198.18.0.0/24\n2001:db8::/124\n");
  });

  test("IPv6 without the adapter's settings is refused with the remedy", () => {
    expect(() => masscanArgv(task, { rangesFile: "r" })).toThrow(/adapter\.ipv6 and adapter\.routerMac/);
    expect(() => masscanArgv(task, { rangesFile: "r", adapter: { ...adapter, ipv4: undefined } })).toThrow(/adapter\.ipv4/);
    expect(masscanArgv({ ...task, ranges: ["198.18.0.0/24"] }, { rangesFile: "r" })).not.toContain("--adapter-ip");
  });
});
