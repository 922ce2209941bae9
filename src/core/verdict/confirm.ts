import type { JobSpec } from "../messages/job.ts";
import type { Probe } from "../messages/probe.ts";
import { isFrontierHeld, isWithin, type PositionedRecord, revokedKeys } from "./coverage.ts";
import { isResultOf, opens, type ServiceKey } from "./sighted.ts";

/** A job that missed the service, and the number of the tile in which the service lies. */
export type MissOf = { readonly job: string; readonly tile: number; readonly spec: JobSpec };

/**
 * Rule 5: whether every region that has to confirm has done so. Those are the regions on the job's list whose own scanners
 * have sighted the service (uploads lend none); where none has, it is the job's home.
 */
export function isConfirmed(records: readonly PositionedRecord[], miss: MissOf, service: ServiceKey): boolean {
  const sighted = miss.spec.regions.filter((region) => hasVantage(records, region, service));
  const required = sighted.length === 0 ? [miss.spec.home] : sighted;
  return required.every((region) => isConfirmedIn(records, region, miss, service));
}

function hasVantage(records: readonly PositionedRecord[], region: string, service: ServiceKey): boolean {
  return records.some((record) => record.region === region && record.statement.kind !== "upload" && opens(record, service));
}

/** Rule 6: one probe by the scanner that last sighted the service, or probes by two others. */
function isConfirmedIn(records: readonly PositionedRecord[], region: string, miss: MissOf, service: ServiceKey): boolean {
  const orders = confirmingProbes(records, region, miss, service).map(({ order }) => order);
  const others = orders.filter(({ basis }) => basis === "others").map(({ scanner }) => scanner);
  return orders.some(({ basis }) => basis === "sighter") || new Set(others).size >= 2;
}

/** Probes accepted in the region that had ordered them, with a negative answer that overrules every sighting and comes after the miss. */
function confirmingProbes(records: readonly PositionedRecord[], region: string, miss: MissOf, service: ServiceKey): Probe[] {
  const revoked = revokedKeys(records);
  const positions = records.filter((record) => opens(record, service));
  const completes = records.filter(
    ({ statement }) => statement.kind === "tile-complete" && statement.content.job === miss.job && statement.content.tile === miss.tile,
  );
  return records.flatMap((record) => {
    if (record.statement.kind !== "probe" || record.region !== region || revoked.has(record.author)) return [];
    const probe = record.statement.content;
    const { frontier } = probe.order;
    const confirms =
      probe.order.region === region &&
      probe.results.some((result) => isResultOf(result, service) && (result.answer === "closed" || result.answer === "filtered")) &&
      positions.every((position) => isWithin(position, frontier)) &&
      completes.some((complete) => isWithin(complete, frontier)) &&
      isFrontierHeld(records, frontier);
    return confirms ? [probe] : [];
  });
}
