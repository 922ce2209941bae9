import { parseAddress } from "../../src/core/address.ts";
import type { Filter, FilterTerm } from "../../src/core/filter/filter.ts";
import type { Service } from "../../src/ledger/types.ts";

/** Whether a filter matches a service, for ledgers in memory: terms about what a service alone does not tell match all. */
export function matchesFilter(service: Service, filter: Filter): boolean {
  return filter.terms.every((term) => matches(service, term) !== term.negated);
}

/** Whether the filter would match a known-good service, did it not hide them. */
export function isHidden(service: Service, filter: Filter): boolean {
  if (!filter.terms.some((term) => term.key === "known" && term.known === "hide")) return false;
  return matchesFilter(service, { terms: filter.terms.filter(({ key }) => key !== "known") });
}

function matches(service: Service, term: FilterTerm): boolean {
  switch (term.key) {
    case "net": {
      const address = parseAddress(service.address);
      return term.ranges.some(({ first, last }) => first <= address && address <= last);
    }
    case "port":
      return term.ports.some(
        ({ protocol, first, last }) =>
          service.port >= first && service.port <= last && (protocol === null || protocol === service.protocol),
      );
    case "proto":
      return term.protocols.includes(service.protocol);
    case "state":
      return term.states.includes(service.state);
    case "known":
      return term.known === "show" || service.known === (term.known === "only");
    case "region":
      return term.names.some((name) => service.seenBy.includes(name));
    case "group":
    case "scanner":
    case "label":
    case "change":
    case "seen":
    case "first":
    case "vantage":
      return !term.negated;
  }
}
