import { expect, test } from "vitest";
import { PortolanError } from "../../src/core/errors.ts";
import type { Engine } from "../../src/core/messages/common.ts";
import { jobSpecSchema } from "../../src/core/messages/job.ts";
import { JOB_RANGES_MAX, planJob, type PlanInput } from "../../src/core/plan.ts";
import { parsePorts } from "../../src/core/port.ts";
import { countAddresses, normaliseRanges, parseRange } from "../../src/core/range.ts";
import { tileCount, tilesOf } from "../../src/core/tile.ts";
import { planInput } from "./builders.ts";

const PUBLIC_KEY = `U${"B".repeat(55)}`;

function scanner(name: string, ...engines: Engine[]): PlanInput["members"][number] {
  return { name, region: "eu", publicKey: PUBLIC_KEY, pinned: null, engines };
}

/** The message with which the plan is refused. */
function refusal(changes: Parameters<typeof planInput>[0]): string {
  try {
    planJob(planInput(changes));
  } catch (error) {
    expect(error).toBeInstanceOf(PortolanError);
    return error instanceof PortolanError ? error.message : "";
  }
  throw new Error("the plan was not refused");
}

test("a plan becomes a spec that holds everything that decides what is probed", () => {
  const spec = planJob(planInput());
  expect(jobSpecSchema.parse(spec)).toEqual(spec);
  expect(spec.blocks).toEqual([{ ranges: ["192.0.2.0/24"], ports: "1-1024", engine: "masscan", members: ["alpha", "beta"] }]);
  expect(spec.members.map(({ scanner: name, place, region }) => [name, place, region])).toEqual([
    ["alpha", 1, "us"],
    ["beta", 2, "eu"],
  ]);
  expect(spec.tiling).toEqual({ version: 1, pairsMax: 2 * 1_000 * 600 });
  expect(spec.regions).toEqual(["eu", "us"]);
  expect(spec.deadlineAtMs - spec.plannedAtMs).toBe(86_400_000);
});

test("the same input makes the same spec, in whatever order its lists come", () => {
  const plan = {
    include: [parseRange("192.0.2.0/24"), parseRange("2001:db8::/120")],
    ports: parsePorts("22,80"),
    exclude: [parseRange("192.0.2.4"), parseRange("192.0.2.9")],
  };
  const one = planInput({ plan });
  const turned = { include: plan.include.toReversed(), ports: plan.ports.toReversed(), exclude: plan.exclude.toReversed() };
  expect(planJob(planInput({ plan: turned, members: one.members.toReversed() }))).toEqual(planJob(one));
});

test("pinned places order the members", () => {
  const members = [
    { ...scanner("alpha", "masscan", "connect"), pinned: 2 },
    { ...scanner("beta", "masscan", "connect"), pinned: 1 },
  ];
  expect(planJob(planInput({ members })).blocks[0]?.members).toEqual(["beta", "alpha"]);
});

test("excluded addresses and pairs are in no block", () => {
  const spec = planJob(
    planInput({
      plan: {
        exclude: [parseRange("192.0.2.128/25")],
        pairExclusions: [{ ranges: [parseRange("192.0.2.1")], ports: parsePorts("22") }],
        ports: parsePorts("22,80"),
      },
    }),
  );
  expect(spec.blocks.map(({ ranges, ports }) => [ranges, ports])).toEqual([
    [["192.0.2.0", "192.0.2.2-192.0.2.127"], "22,80"],
    [["192.0.2.1"], "80"],
  ]);
});

test("engine auto takes connect for small blocks, for loopback, and when a member lacks masscan", () => {
  const engines = (changes: Parameters<typeof planInput>[0]): Engine[] => planJob(planInput(changes)).blocks.map(({ engine }) => engine);
  expect(engines({ plan: { ports: parsePorts("1-19") } })).toEqual(["connect"]);
  expect(engines({ plan: { ports: parsePorts("1-20") } })).toEqual(["masscan"]);
  expect(engines({ plan: { include: [parseRange("127.0.0.0/24"), parseRange("::1")] } })).toEqual(["connect"]);
  expect(engines({ plan: { include: [parseRange("127.0.0.0/24")], engine: "masscan" } })).toEqual(["connect"]);
  expect(engines({ plan: { include: [parseRange("126.255.255.0-127.0.0.255")], engine: "masscan" } })).toEqual(["connect", "masscan"]);
  expect(engines({ members: [scanner("a", "connect"), scanner("b", "masscan", "connect")] })).toEqual(["connect"]);
  expect(engines({ members: [scanner("a", "masscan")], plan: { ports: parsePorts("80") } })).toEqual(["masscan"]);
  expect(engines({ plan: { ports: parsePorts("80,U:53") } })).toEqual(["masscan"]);
  expect(engines({ plan: { engine: "connect" } })).toEqual(["connect"]);
  expect(engines({ plan: { engine: "masscan", ports: parsePorts("80") } })).toEqual(["masscan"]);
});

test("an empty plan is refused, saying what is missing", () => {
  expect(refusal({ plan: { include: [] } })).toMatch(/"office" includes no addresses; add ranges/);
  expect(refusal({ plan: { ports: [] } })).toMatch(/has no ports; give it some/);
  expect(refusal({ plan: { exclude: [parseRange("192.0.0.0/16")] } })).toMatch(
    /nothing to scan: all of its addresses are excluded; .*remove an exclusion/,
  );
  const everything = [{ ranges: [parseRange("192.0.2.0/24")], ports: parsePorts("0-65535") }];
  expect(refusal({ plan: { pairExclusions: everything } })).toMatch(/nothing to scan: everything it includes is excluded/);
});

test("a plan without scanners, or with a group that has no clear order, is refused", () => {
  expect(refusal({ members: [] })).toMatch(/group "@all" of plan "office" has no scanner; register one/);
  expect(refusal({ members: [scanner("a", "connect"), scanner("a", "connect")] })).toMatch(/"a" is in the group twice/);
  expect(refusal({ members: [{ ...scanner("a", "connect"), pinned: 2 }] })).toMatch(/pinned to place 2.*pin 1 to 1/);
});

test("numbers that masscan would quietly replace are refused", () => {
  for (const rateLimitPps of [0, -1, 0.5, Number.NaN, Number.POSITIVE_INFINITY, 10_000_001]) {
    expect(refusal({ plan: { rateLimitPps } })).toMatch(/rate \(probes per second\) .*use a whole number from 1 to 10000000/);
  }
  expect(refusal({ plan: { retries: 11 } })).toMatch(/retries 11; use a whole number from 0 to 10/);
  expect(refusal({ plan: { closeAfter: 0 } })).toMatch(/closeAfter 0; use a whole number from 1 to 10/);
  expect(refusal({ plan: { deadlineS: 0 } })).toMatch(/deadline in seconds of 0/);
  expect(refusal({ plan: { pairsMax: 0 } })).toMatch(/pairsMax\) of 0/);
  expect(refusal({ plan: { waitS: 0 } })).toMatch(/wait in seconds of 0/);
  expect(refusal({ plan: { connectTimeoutMs: 1 } })).toMatch(/connect time-out/);
  for (const seed of ["0", "-1", "0x10", "18446744073709551616"]) expect(refusal({ seed })).toMatch(/plan "office": seed: /);
});

test("whatever else does not fit a spec is refused by name", () => {
  expect(refusal({ home: "EU West" })).toMatch(/plan "office": home: 1 to 63 of a-z/);
  expect(refusal({ members: [{ ...scanner("a", "connect"), publicKey: "" }] })).toMatch(/members\.0\.publicKey: an nkey user public key/);
  expect(refusal({ masscanFamily: "" })).toMatch(/masscanFamily/);
});

test("canaries are canonical, and neither wrong nor excluded", () => {
  const canaries = [{ address: "2001:DB8::0:1", port: 443 }];
  expect(planJob(planInput({ plan: { canaries } })).canaries).toEqual([{ address: "2001:db8::1", port: 443 }]);
  expect(refusal({ plan: { canaries: [{ address: "example.org", port: 1 }] } })).toMatch(/"example\.org" is not an IP address/);
  expect(refusal({ plan: { canaries: [{ address: "192.0.2.1", port: 0 }] } })).toMatch(
    /canary 192\.0\.2\.1 .*has port 0; use an open TCP port/,
  );
  expect(refusal({ plan: { canaries, exclude: [parseRange("2001:db8::/64")] } })).toMatch(
    /canary 2001:db8::1 port 443 .*is excluded.*choose another/,
  );
  const pairs = [{ ranges: [parseRange("2001:db8::/64")], ports: parsePorts("443") }];
  expect(refusal({ plan: { canaries, pairExclusions: pairs } })).toMatch(/is excluded from scanning/);
});

test("ports and engines that no member can do are refused", () => {
  const udp = parsePorts("80,U:53");
  expect(refusal({ plan: { ports: udp }, members: [scanner("a", "masscan", "connect"), scanner("b", "connect")] })).toMatch(
    /needs masscan for UDP and SCTP ports, but scanner "b" does not have it; install it there or take the scanner out/,
  );
  expect(refusal({ plan: { ports: udp, engine: "connect" } })).toMatch(
    /connect engine, which probes TCP only; set its engine to auto or masscan/,
  );
  expect(refusal({ plan: { ports: udp, include: [parseRange("127.0.0.1")] } })).toMatch(/UDP or SCTP on loopback/);
  expect(refusal({ plan: { ports: udp, include: [parseRange("2001:db8::/120"), parseRange("192.0.2.0/24")] } })).toMatch(
    /UDP ports over IPv6 \(2001:db8::\/120\), which masscan cannot probe; give the IPv6 ranges a plan without UDP/,
  );
  expect(refusal({ plan: { engine: "masscan" }, members: [scanner("a", "connect")] })).toMatch(
    /needs masscan for its engine setting, but scanner "a"/,
  );
  expect(refusal({ plan: { engine: "connect" }, members: [scanner("a", "masscan")] })).toMatch(/needs connect/);
  expect(refusal({ members: [scanner("a", "connect"), scanner("b", "masscan")] })).toMatch(
    /needs connect for scanner "a", which lacks masscan, but scanner "b"/,
  );
  expect(refusal({ members: [scanner("a")] })).toMatch(/scanner "a"/);
});

test("jobs that would never end are refused with their size", () => {
  expect(refusal({ plan: { include: [parseRange("2001:db8::/64")] } })).toMatch(
    /makes \d+ tiles \(at most 200000\) and would take \d+ days; scan smaller ranges/,
  );
  expect(refusal({ plan: { include: [parseRange("2000::/3")], ports: parsePorts("0-65535") } })).toMatch(/would take \d+ days/);
  expect(refusal({ plan: { include: [parseRange("10.0.0.0/8")], ports: parsePorts("-"), rateLimitPps: 100 } })).toMatch(
    /or raise its rate/,
  );
  expect(refusal({ plan: { pairsMax: 1, ports: parsePorts("1-10"), include: [parseRange("10.0.0.0/14")] } })).toMatch(/pairsMax \(1\)/);
});

test("no tile comes near the size that masscan refuses", () => {
  const spec = planJob(
    planInput({
      plan: { include: [parseRange("0.0.0.0/0")], ports: parsePorts("80"), rateLimitPps: 10_000_000, pairsMax: Number.MAX_SAFE_INTEGER },
    }),
  );
  for (const tile of tilesOf(spec)) expect(tile.pairs).toBeLessThanOrEqual(2 ** 31);
});

test("very many ranges are dealt out to blocks that a message can carry", () => {
  const include = Array.from({ length: 20_000 }, (_, i) => ({
    first: 0xffff_0a00_0000n + BigInt(i * 2),
    last: 0xffff_0a00_0000n + BigInt(i * 2),
  }));
  const spec = planJob(planInput({ plan: { include, ports: parsePorts("1-10"), pairsMax: 50_000 } }));
  expect(spec.blocks.every(({ ranges, engine }) => ranges.length < 8_000 && engine === "masscan")).toBe(true);
  const tiles = tilesOf(spec);
  expect(tileCount(spec)).toBe(tiles.length);
  expect(countAddresses(tiles.flatMap(({ ranges }) => ranges))).toBe(20_000n);
  expect(normaliseRanges(tiles.flatMap(({ ranges }) => ranges))).toEqual(include);
  const tooMany = Array.from({ length: JOB_RANGES_MAX + 1 }, (_, i) => ({
    first: 0xffff_0a00_0000n + BigInt(i * 2),
    last: 0xffff_0a00_0000n + BigInt(i * 2),
  }));
  expect(refusal({ plan: { include: tooMany } })).toMatch(/131073 separate ranges \(at most 131072\); merge neighbouring ranges/);
});

test("each tile has exactly the scanners that may probe all of it, and takes no longer for being shared by fewer", () => {
  const half = [parseRange("192.0.2.0/25")];
  const members = [scanner("alpha", "masscan", "connect"), { ...scanner("beta", "masscan", "connect"), mayNotProbe: half }];
  const spec = planJob(planInput({ members }));
  expect(spec.blocks.map(({ ranges, members: names }) => [ranges, names])).toEqual(
    expect.arrayContaining([
      [["192.0.2.0/25"], ["alpha"]],
      [["192.0.2.128/25"], ["alpha", "beta"]],
    ]),
  );
  expect(spec.blocks).toHaveLength(2);
  expect(spec.tiling.pairsMax).toBe(1_000 * 600);
  for (const tile of tilesOf(spec)) {
    const isShared = tile.ranges.every(({ first }) => first >= parseRange("192.0.2.128/25").first);
    expect(tile.members).toEqual(isShared ? ["alpha", "beta"] : ["alpha"]);
  }
});

test("what no scanner may probe, and a canary that one of them may not, are refused by name", () => {
  const mayProbe = [parseRange("192.0.2.0/25")];
  const bound = (name: string): PlanInput["members"][number] => ({ ...scanner(name, "masscan", "connect"), mayProbe });
  expect(refusal({ members: [bound("alpha"), bound("beta")] })).toMatch(/no scanner of group .* may probe 192\.0\.2\.128\/25/);
});
