import type { Sighting } from "../columns.ts";
import { formatAddress } from "../address.ts";
import type { ServiceRef } from "../messages/probe.ts";
import type { PositionedRecord } from "./coverage.ts";

/** (address, protocol, port). */
export type ServiceKey = Pick<Sighting, "address" | "protocol" | "port">;

/** Rule 1: the services that a record says were open: of its columns, or the open answers of a probe. */
export function openedBy({ statement, sightings }: PositionedRecord, parse: (address: string) => bigint): ServiceKey[] {
  if (statement.kind !== "probe") return [...sightings];
  return statement.content.results
    .filter(({ answer }) => answer === "open")
    .map(({ address, protocol, port }) => ({ address: parse(address), protocol, port }));
}

/** Whether the record says that the service was open. */
export function opens({ statement, sightings }: PositionedRecord, service: ServiceKey): boolean {
  if (statement.kind === "probe")
    return statement.content.results.some((result) => result.answer === "open" && isResultOf(result, service));
  return sightings.some(
    ({ address, protocol, port }) => address === service.address && protocol === service.protocol && port === service.port,
  );
}

/** Whether a probe's target or result is about this service. */
export function isResultOf(result: ServiceRef, { address, protocol, port }: ServiceKey): boolean {
  return result.port === port && result.protocol === protocol && result.address === formatAddress(address);
}
