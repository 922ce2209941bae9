import { parsePorts, countPorts } from "./port.ts";
import { isIpv4 } from "./address.ts";
import { type AddressRange, countAddresses, normaliseRanges, parseRange } from "./range.ts";
import type { JobSpec } from "./messages/job.ts";

/** What a job sends to others when every shard runs once: for abuse limits. Networks are IPv4 /24s and IPv6 /64s. */
export type Footprint = {
  readonly hosts: bigint;
  readonly networks: bigint;
  readonly probes: bigint;
  /** Probes to the address that gets most. */
  readonly perHostMax: number;
  /** Probes to the network that gets most. */
  readonly perNetworkMax: bigint;
};

const IPV4_NETWORK_BITS = 8n;
const IPV6_NETWORK_BITS = 64n;

/** Counts from the specification alone; each pair is sent `retries + 1` probes. */
export function footprintOf({ blocks, retries }: Pick<JobSpec, "blocks" | "retries">): Footprint {
  let [hosts, probes, perHostMax] = [0n, 0n, 0];
  const load = createLoad();
  const all: AddressRange[] = [];
  for (const block of blocks) {
    const ranges = normaliseRanges(block.ranges.map(parseRange));
    const perHost = countPorts(parsePorts(block.ports)) * (retries + 1);
    const addresses = countAddresses(ranges);
    hosts += addresses;
    probes += addresses * BigInt(perHost);
    perHostMax = Math.max(perHostMax, perHost);
    all.push(...ranges);
    for (const range of ranges) load.add(range, BigInt(perHost));
  }
  return { hosts, networks: countNetworks(normaliseRanges(all)), probes, perHostMax, perNetworkMax: load.most() };
}

/** Sums up probes by network. Only the ends of a range can share theirs with another range; in between are whole ones, all alike. */
function createLoad() {
  const shared = new Map<string, bigint>();
  let most = 0n;
  const share = (network: string, probes: bigint): void => {
    const sum = (shared.get(network) ?? 0n) + probes;
    shared.set(network, sum);
    if (sum > most) most = sum;
  };
  return {
    add: (range: AddressRange, perHost: bigint): void => {
      const bits = bitsOf(range);
      const [from, to] = [range.first >> bits, range.last >> bits];
      const name = (network: bigint): string => `${bits} ${network}`;
      if (from === to) return share(name(from), (range.last - range.first + 1n) * perHost);
      share(name(from), (((from + 1n) << bits) - range.first) * perHost);
      share(name(to), (range.last - (to << bits) + 1n) * perHost);
      const whole = to - from > 1n ? perHost << bits : 0n;
      if (whole > most) most = whole;
    },
    most: (): bigint => most,
  };
}

function bitsOf({ first }: AddressRange): bigint {
  return isIpv4(first) ? IPV4_NETWORK_BITS : IPV6_NETWORK_BITS;
}

function countNetworks(ranges: readonly AddressRange[]): bigint {
  let count = 0n;
  let last = -1n;
  for (const range of ranges) {
    const bits = bitsOf(range);
    const [from, to] = [range.first >> bits, range.last >> bits];
    count += to - from + (from === last ? 0n : 1n);
    last = to;
  }
  return count;
}
