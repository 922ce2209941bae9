import { parseAddress } from "../../src/core/address.ts";
import type { ServiceRef } from "../../src/core/messages/probe.ts";
import { containsAddress } from "../../src/core/range.ts";
import type { SnapshotScanner } from "../../src/registry/types.ts";

/** Whether a scanner may probe a target: its range groups say so. */
export function boundsOf(scanners: readonly SnapshotScanner[]): (scanner: string, target: ServiceRef) => boolean {
  const byName = new Map(scanners.map((scanner) => [scanner.name, scanner.bounds]));
  return (name, { address }) => {
    const { mayProbe, mayNotProbe } = byName.get(name) ?? {};
    if (mayProbe === undefined && mayNotProbe === undefined) return true;
    const at = parseAddress(address);
    return (mayProbe === undefined || containsAddress(mayProbe, at)) && !containsAddress(mayNotProbe ?? [], at);
  };
}
