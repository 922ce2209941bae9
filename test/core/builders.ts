import * as fc from "fast-check";
import type { PlanInput } from "../../src/core/plan.ts";
import type { Protocol, PortRange } from "../../src/core/port.ts";
import { parsePorts } from "../../src/core/port.ts";
import { parseRange, type AddressRange } from "../../src/core/range.ts";

const IPV4_FIRST = 0xffff_0000_0000n;

/** Bases around which ranges crowd, so that overlaps, neighbours and family borders come up often. */
const BASES = [
  0n,
  IPV4_FIRST - 8n,
  IPV4_FIRST,
  IPV4_FIRST + 0xc000_0200n,
  IPV4_FIRST + 0xffff_ffffn - 7n,
  1n << 48n,
  0x2001_0db8n << 96n,
  (1n << 128n) - 64n,
];

/** An address near one of the bases. */
export const nearAddresses = fc.tuple(fc.constantFrom(...BASES), fc.bigInt({ min: 0n, max: 63n })).map(([base, offset]) => {
  const address = base + offset;
  return address >= 1n << 128n ? (1n << 128n) - 1n : address;
});

/** Any address; half of them IPv4. */
export const addresses = fc.oneof(
  fc.bigInt({ min: IPV4_FIRST, max: IPV4_FIRST + 0xffff_ffffn }),
  fc.bigInt({ min: 0n, max: (1n << 128n) - 1n }),
  nearAddresses,
);

function familyOf(address: bigint): number {
  return address < IPV4_FIRST ? 0 : address <= IPV4_FIRST + 0xffff_ffffn ? 1 : 2;
}

/** A small range of one family. */
export const nearRanges: fc.Arbitrary<AddressRange> = fc
  .tuple(nearAddresses, nearAddresses)
  .filter(([a, b]) => familyOf(a) === familyOf(b) && (a > b ? a - b : b - a) < 64n)
  .map(([a, b]) => (a < b ? { first: a, last: b } : { first: b, last: a }));

export const protocols = fc.constantFrom<Protocol>("tcp", "udp", "sctp");

/** Ports crowd at both ends, so that runs overlap and touch. */
const nearPorts = fc.oneof(fc.integer({ min: 0, max: 12 }), fc.integer({ min: 65_525, max: 65_535 }));
export const portRanges: fc.Arbitrary<PortRange> = fc
  .tuple(protocols, nearPorts, nearPorts)
  .filter(([, a, b]) => Math.abs(a - b) < 20)
  .map(([protocol, a, b]) => ({ protocol, first: Math.min(a, b), last: Math.max(a, b) }));

/** All addresses of small ranges, one by one: the naive model. */
export function addressSet(ranges: readonly AddressRange[]): Set<bigint> {
  const set = new Set<bigint>();
  for (const { first, last } of ranges) for (let address = first; address <= last; address += 1n) set.add(address);
  return set;
}

/** All ports, one by one, as "tcp/80". */
export function portSet(ports: readonly PortRange[]): Set<string> {
  const set = new Set<string>();
  for (const { protocol, first, last } of ports) for (let port = first; port <= last; port += 1) set.add(`${protocol}/${port}`);
  return set;
}

/** Members of `a` that are not in `b`. */
export function without<T>(a: ReadonlySet<T>, b: ReadonlySet<T>): Set<T> {
  return new Set([...a].filter((member) => !b.has(member)));
}

/** Members of both. */
export function common<T>(a: ReadonlySet<T>, b: ReadonlySet<T>): Set<T> {
  return new Set([...a].filter((member) => b.has(member)));
}

const PUBLIC_KEY = `U${"A".repeat(55)}`;

/** A plan input that is good as it stands: two scanners with both engines; `plan` replaces single details. */
export function planInput(changes: Partial<Omit<PlanInput, "plan">> & { readonly plan?: Partial<PlanInput["plan"]> } = {}): PlanInput {
  const { plan, ...others } = changes;
  return {
    plan: {
      id: "plan-1",
      name: "office",
      revision: 1,
      include: [parseRange("192.0.2.0/24")],
      exclude: [],
      pairExclusions: [],
      ports: parsePorts("1-1024"),
      rateLimitPps: 1_000,
      retries: 0,
      engine: "auto",
      closeAfter: 2,
      confirm: false,
      deadlineS: 86_400,
      pairsMax: null,
      canaries: [],
      waitS: 3,
      connectTimeoutMs: 1_000,
      ...plan,
    },
    group: "@all",
    home: "eu",
    cause: "manual",
    members: [
      { name: "beta", region: "eu", publicKey: PUBLIC_KEY, pinned: null, engines: ["masscan", "connect"] },
      { name: "alpha", region: "us", publicKey: PUBLIC_KEY, pinned: null, engines: ["masscan", "connect"] },
    ],
    regions: ["eu"],
    masscanFamily: "1.3",
    frontier: {},
    seed: "42",
    nowMs: 1_800_000_000_000,
    ...others,
  };
}
