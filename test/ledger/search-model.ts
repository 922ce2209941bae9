import { addressToHex, parseAddress } from "../../src/core/address.ts";
import { parseFilter, withDefaults } from "../../src/core/filter/filter.ts";
import type { FilterTerm } from "../../src/core/filter/terms.ts";
import { protocolNumber } from "../../src/core/port.ts";
import { containsAddress, normaliseRanges, parseRange } from "../../src/core/range.ts";
import type { SearchContext, SearchSort } from "../../src/ledger/search/query.ts";

/** The moment that the model's ages are counted from. */
const NOW_S = 1_700_000_000;
export const GROUPS = new Map([
  ["edge", ["192.0.2.0/28", "192.0.2.64/27", "2001:db8::2/127"].map(parseRange)],
  ["none", []],
]);
export type Made = {
  address: string;
  protocol: "tcp" | "udp";
  port: number;
  state: 0 | 1 | 2;
  known: 0 | 1;
  reopened: 0 | 1;
  region: string;
  scanner: string;
  firstS: number;
  lastS: number;
};

/** Some 300 services, the same each time. */
export const made: readonly Made[] = makeServices();

function makeServices(): Made[] {
  const services: Made[] = [];
  const pick = <T>(items: readonly T[], n: number): T => items[n % items.length] as T;
  let seed = 7;
  const next = (): number => (seed = (Math.imul(seed, 1_103_515_245) + 12_345) >>> 1);
  for (let n = 0; n < 400; n += 1) {
    const address = next() % 10 === 0 ? `2001:db8::${1 + (next() % 4)}` : `192.0.2.${next() % 128}`;
    const service: Made = {
      address,
      protocol: pick(["tcp", "tcp", "udp"] as const, next() >> 4),
      port: pick([22, 53, 80, 443, 8080], next() >> 4),
      state: pick([0, 0, 0, 1, 2] as const, next() >> 4),
      known: pick([0, 0, 0, 1] as const, next() >> 4),
      reopened: pick([0, 0, 1] as const, next() >> 4),
      region: pick(["eu", "us"], next() >> 4),
      scanner: pick(["de01", "ny01"], next() >> 4),
      firstS: NOW_S - 86_400 * (1 + (next() % 20)),
      lastS: NOW_S - 3_600 * (next() % 48),
    };
    if (!services.some((one) => keyOf(one) === keyOf(service))) services.push(service);
  }
  return services;
}

export function place({ address, port, protocol }: Pick<Made, "address" | "port" | "protocol">): [string, number, number] {
  return [addressToHex(parseAddress(address)), port, protocolNumber(protocol)];
}

export function keyOf(one: { readonly address: string; readonly protocol: string; readonly port: number }): string {
  return `${one.address} ${one.protocol}/${one.port}`;
}

export function context(text: string, window?: number): SearchContext {
  return {
    filter: withDefaults(parseFilter(text)),
    groups: GROUPS,
    nowMs: NOW_S * 1_000,
    plans: [],
    ...(window === undefined ? {} : { window }),
  };
}

function matches(one: Made, term: FilterTerm): boolean {
  const ages = { seen: NOW_S - one.lastS, first: NOW_S - one.firstS };
  const inRange = (ranges: Parameters<typeof normaliseRanges>[0]): boolean =>
    containsAddress(normaliseRanges(ranges), parseAddress(one.address));
  const holds = ((): boolean => {
    switch (term.key) {
      case "net":
        return inRange(term.ranges);
      case "group":
        return inRange(term.names.flatMap((name) => GROUPS.get(name) ?? []));
      case "port":
        return term.ports.some(
          ({ protocol, first, last }) => one.port >= first && one.port <= last && (protocol === null || protocol === one.protocol),
        );
      case "proto":
        return term.protocols.includes(one.protocol);
      case "region":
        return term.names.includes(one.region);
      case "scanner":
        return term.names.includes(one.scanner);
      case "state":
        return term.states.includes((["open", "missing", "closed"] as const)[one.state]);
      case "known":
        return term.known === "show" || (term.known === "only") === (one.known === 1);
      case "seen":
      case "first":
        return term.younger ? ages[term.key] < term.ageS : ages[term.key] > term.ageS;
      case "label":
        return term.labels.includes("never-covered");
      case "change":
        return one.reopened === 1;
      case "vantage":
        return false;
    }
  })();
  return holds !== term.negated;
}

export function expected(text: string, sort: SearchSort): string[] {
  const { terms } = withDefaults(parseFilter(text));
  const rows = made.filter((one) => terms.every((term) => matches(one, term)));
  const byAddress = (a: Made, b: Made): number => {
    const [x, y] = [place(a), place(b)];
    return x[0] < y[0] ? -1 : x[0] > y[0] ? 1 : x[1] - y[1] || x[2] - y[2];
  };
  const byPort = (a: Made, b: Made): number =>
    a.port - b.port || (place(a)[0] === place(b)[0] ? place(a)[2] - place(b)[2] : byAddress(a, b));
  const sorted = rows.toSorted(sort.endsWith("port") ? byPort : byAddress).map(keyOf);
  return sort.startsWith("-") ? sorted.toReversed() : sorted;
}
