import { formatAddress, parseAddress } from "./address.ts";
import { PortolanError } from "./errors.ts";
import type { Canary } from "./messages/job.ts";
import type { PlanDetails, PlanMember } from "./plan.ts";
import { containsPort } from "./port.ts";
import { containsAddress, normaliseRanges } from "./range.ts";

/** Canaries in canonical text; they are probed like targets, so exclusions hold for them too. */
export function canariesOf(plan: PlanDetails, members: readonly PlanMember[]): Canary[] {
  const excluded = normaliseRanges(plan.exclude);
  return plan.canaries.map(({ address: text, port }) => {
    const address = parseAddress(text);
    if (!Number.isInteger(port) || port < 1 || port > 65_535) {
      throw new PortolanError(
        "invalid",
        `canary ${formatAddress(address)} of plan "${plan.name}" has port ${port}; use an open TCP port from 1 to 65535`,
      );
    }
    const pairExcluded = plan.pairExclusions.some(
      ({ ranges, ports }) => containsPort(ports, "tcp", port) && containsAddress(normaliseRanges(ranges), address),
    );
    if (pairExcluded || containsAddress(excluded, address)) {
      throw new PortolanError(
        "invalid",
        `canary ${formatAddress(address)} port ${port} of plan "${plan.name}" is excluded from scanning; choose another canary`,
      );
    }
    const barred = members.find(({ mayProbe, mayNotProbe }) => {
      const isInside = mayProbe === undefined || containsAddress(normaliseRanges(mayProbe), address);
      return !isInside || containsAddress(normaliseRanges(mayNotProbe ?? []), address);
    });
    if (barred !== undefined) {
      throw new PortolanError(
        "invalid",
        `canary ${formatAddress(address)} of plan "${plan.name}" is nothing that scanner "${barred.name}" may probe; choose one that every scanner of the group may`,
      );
    }
    return { address: formatAddress(address), port };
  });
}
