import { parseAddress } from "../address.ts";
import { containsPort } from "../port.ts";
import { containsAddress } from "../range.ts";
import { isConfirmed } from "./confirm.ts";
import { type Coverage, coverages, isWithin, type PositionedRecord } from "./coverage.ts";
import { openedBy, opens, type ServiceKey } from "./sighted.ts";

export type { ServiceKey } from "./sighted.ts";

/** What the register says about a service. */
export type Verdict = "open" | "missing" | "closed";

/**
 * The verdicts of all services, straight from the rules: a pure function of the set of records with their positions, whatever
 * order they stand in and however often. Small and slow: the ledger's projection is held equal to it.
 */
export function foldVerdicts(records: readonly PositionedRecord[]): { readonly service: ServiceKey; readonly verdict: Verdict }[] {
  const services = new Map<string, ServiceKey>();
  for (const { address, protocol, port } of records.flatMap((record) => openedBy(record, parseAddress))) {
    services.set(`${address}/${protocol}/${port}`, { address, protocol, port });
  }
  const counting = coverages(records);
  return [...services.values()].map((service) => ({ service, verdict: verdictOf(records, counting, service) }));
}

function verdictOf(records: readonly PositionedRecord[], counting: readonly Coverage[], service: ServiceKey): Verdict {
  const misses = missesOf(records, counting, service);
  if (misses.length === 0) return "open";
  return misses.some((miss) => isClosedBy(records, misses, miss, service)) ? "closed" : "missing";
}

/** Rules 1 to 3 and 7: jobs that covered the service and whose frontier dominates every sighting of it, at all of its positions. */
function missesOf(records: readonly PositionedRecord[], counting: readonly Coverage[], service: ServiceKey): Coverage[] {
  const seenAt = records.filter((record) => opens(record, service));
  const byJob = new Map<string, Coverage>();
  for (const coverage of counting) {
    const { tile, spec, job } = coverage;
    const covers = containsAddress(tile.ranges, service.address) && containsPort(tile.ports, service.protocol, service.port);
    if (covers && seenAt.every((position) => isWithin(position, spec.frontier))) byJob.set(job, coverage);
  }
  return [...byJob.values()];
}

/** Rules 4 and 5: whether a chain of `closeAfter` misses in sequence ends with this job, and it is confirmed where that is asked for. */
function isClosedBy(records: readonly PositionedRecord[], misses: readonly Coverage[], last: Coverage, service: ServiceKey): boolean {
  const { closeAfter, confirm } = last.spec.policy;
  // Where chains of each length, beginning with 1, can end.
  let ends = [...misses];
  for (let length = 1; length < closeAfter; length++) {
    ends = misses.filter((next) => ends.some((before) => before.job !== next.job && isBefore(records, before, next)));
  }
  if (!ends.includes(last)) return false;
  return !confirm || isConfirmed(records, { job: last.job, tile: last.tile.index, spec: last.spec }, service);
}

/** Whether the later job's frontier includes a tile-complete of the earlier one's tile: jobs that run at one time are one look. */
function isBefore(records: readonly PositionedRecord[], earlier: Coverage, later: Coverage): boolean {
  return records.some(
    (record) =>
      record.statement.kind === "tile-complete" &&
      record.statement.content.job === earlier.job &&
      record.statement.content.tile === earlier.tile.index &&
      isWithin(record, later.spec.frontier),
  );
}
