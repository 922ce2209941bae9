import { parseAddress } from "../../src/core/address.ts";
import type { Sighting } from "../../src/core/columns.ts";
import { SIGHTINGS_PER_PART_MAX } from "../../src/core/messages/report.ts";
import { randomOf } from "../ledger/history.ts";

/** Ports of the sightings, in the spelling of a plan. */
export const BENCH_PORTS = [21, 22, 25, 53, 80, 110, 123, 143, 443, 445, 993, 3306, 3389, 5432, 8080, 8443];
/** Range that holds all sightings. */
export const BENCH_RANGE = "10.0.0.0/8";

const FIRST_ADDRESS = parseAddress("10.0.0.0");

/** Random hosts with common ports, in the order of the register's key, cut into parts of full size. The same for each call. */
export function benchParts(count: number): Sighting[][] {
  const random = randomOf(7);
  const all: Sighting[] = [];
  let address = FIRST_ADDRESS;
  while (all.length < count) {
    address += BigInt(1 + random.below(24));
    const ports = new Set(Array.from({ length: 1 + random.below(4) }, () => random.pick(BENCH_PORTS)));
    for (const port of [...ports].toSorted((a, b) => a - b)) all.push({ address, protocol: "tcp", port, observedAtS: 1_700_000_000 });
  }
  const parts: Sighting[][] = [];
  for (let at = 0; at < count; at += SIGHTINGS_PER_PART_MAX) parts.push(all.slice(at, Math.min(count, at + SIGHTINGS_PER_PART_MAX)));
  return parts;
}
