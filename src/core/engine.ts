import { isIpv4 } from "./address.ts";
import { PortolanError } from "./errors.ts";
import type { Engine } from "./messages/common.ts";
import { countPorts, type PortRange } from "./port.ts";
import { formatRange, parseRange, type AddressRange } from "./range.ts";

/** What a plan asks for; "auto" leaves it to `chooseEngine`. */
export type EngineWish = "auto" | Engine;

/** Addresses of the scanner's own machine: masscan does not work on the loopback interface. */
export const LOOPBACK_RANGES: readonly AddressRange[] = [parseRange("127.0.0.0/8"), parseRange("::1")];

/** Below this, masscan's fixed seconds cost more than TCP connects to every pair. */
const CONNECT_PAIRS_MAX = 5_000n;

/** Whether the whole range is loopback. */
export function isLoopbackRange(range: AddressRange): boolean {
  return LOOPBACK_RANGES.some(({ first, last }) => first <= range.first && range.last <= last);
}

/**
 * masscan 1.3.2 writes the UDP payload over the Ethernet header of its IPv6 frames (seen on the wire): such probes never
 * arrive, yet the run looks complete, so these pairs would be closed without having been asked.
 * Throws `invalid` when the ranges hold IPv6 and the ports UDP.
 */
export function refuseUdpOverIpv6(planName: string, ranges: readonly AddressRange[], ports: readonly PortRange[]): void {
  const ipv6 = ranges.find(({ first }) => !isIpv4(first));
  if (ipv6 === undefined || ports.every(({ protocol }) => protocol !== "udp")) return;
  throw new PortolanError(
    "invalid",
    `plan "${planName}" asks for UDP ports over IPv6 (${formatRange(ipv6)}), which masscan cannot probe; give the IPv6 ranges a plan without UDP ports`,
  );
}

/** A block for which an engine is needed: all pairs go to all members. */
export type EngineQuery = {
  readonly planName: string;
  readonly wish: EngineWish;
  readonly pairs: bigint;
  readonly ports: readonly PortRange[];
  readonly loopback: boolean;
  readonly members: readonly { readonly name: string; readonly engines: readonly Engine[] }[];
};

/**
 * The engine of a block. Loopback needs connect, UDP and SCTP need masscan; "auto" takes connect below 5,000 pairs or
 * when a member lacks masscan. Throws `invalid` when no engine that every member has can do it.
 */
export function chooseEngine(query: EngineQuery): Engine {
  const { planName, wish, pairs, ports, loopback, members } = query;
  const lacking = (engine: Engine): string | undefined => members.find(({ engines }) => !engines.includes(engine))?.name;
  const onlyTcp = countPorts(ports.filter(({ protocol }) => protocol !== "tcp")) === 0;
  if (loopback && !onlyTcp) {
    throw new PortolanError(
      "invalid",
      `plan "${planName}" asks for UDP or SCTP on loopback addresses, which no engine can probe; take those ports or 127.0.0.0/8 and ::1 out`,
    );
  }
  if (!loopback && !onlyTcp && wish === "connect") {
    throw new PortolanError(
      "invalid",
      `plan "${planName}" asks for UDP or SCTP with the connect engine, which probes TCP only; set its engine to auto or masscan`,
    );
  }
  if (loopback || wish === "connect") return required("connect", loopback ? "loopback addresses" : "its engine setting");
  if (!onlyTcp) return required("masscan", "UDP and SCTP ports");
  if (wish === "masscan") return required("masscan", "its engine setting");
  const preferred: Engine = pairs < CONNECT_PAIRS_MAX ? "connect" : "masscan";
  if (lacking(preferred) === undefined) return preferred;
  const other: Engine = preferred === "masscan" ? "connect" : "masscan";
  return required(other, `scanner "${lacking(preferred) ?? ""}", which lacks ${preferred}`);

  function required(engine: Engine, reason: string): Engine {
    const name = lacking(engine);
    if (name === undefined) return engine;
    throw new PortolanError(
      "invalid",
      `plan "${planName}" needs ${engine} for ${reason}, but scanner "${name}" does not have it; install it there or take the scanner out of the group`,
    );
  }
}
