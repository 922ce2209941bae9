import { addressToHex } from "../../core/address.ts";
import { PortolanError } from "../../core/errors.ts";
import type { FilterTerm } from "../../core/filter/filter.ts";
import { intersectRanges, type AddressRange } from "../../core/range.ts";
import { DISAGREEING } from "../vantage.ts";
import { type Bind, conditionOf, rangesOf } from "./conditions.ts";
import type { SearchContext, SearchSort } from "./query.ts";

/** Where a page begins: after this service. */
export type Place = { readonly ip: string; readonly port: number; readonly proto: number };

/**
 * What a statement walks through, in order: `from` and the conditions that the walk itself meets by an index. `rest` are the terms
 * that are only looked at on the way.
 */
export type Walk = {
  readonly from: string;
  readonly where: readonly string[];
  readonly order: string;
  /** The same order in the columns of what drives the walk; default `order`. */
  readonly walkOrder?: string;
  readonly rest: readonly FilterTerm[];
  /** The walk is in this order by itself: sorting would make it walk to its end first. */
  readonly isNatural: boolean;
  /** Where the next page begins when this walk ends without having filled one; null when there is nothing more. */
  readonly goOn: Place | null;
};

/** Ranges that one statement walks through, at most; the rest waits for the next page. */
const RANGES_MAX = 1_000;

/** Chooses the index that a search walks along: the order alone decides, with the parts of the filter that an index holds. */
export function walkOf(context: SearchContext, sort: SearchSort, after: Place | null, bind: Bind): Walk {
  const base = baseOf(context);
  const descending = sort.startsWith("-");
  if (sort.endsWith("port")) return byPort(context, base, descending, after, bind);
  const ranges = wantedRanges(context);
  if (context.filter.terms.some(({ key, negated }) => key === "vantage" && !negated))
    return alongSilent(base, ranges, descending, after, bind);
  const rest = base.rest.filter((term) => term.negated || (term.key !== "net" && term.key !== "group"));
  const cursor =
    after === null ? [] : [beyond("s.ip, s.port, s.proto", descending, [`unhex(${bind(after.ip)})`, bind(after.port), bind(after.proto)])];
  const port = onePort(context);
  if (port !== null && base.isShown && ranges === null) {
    // The index by port is in the order of addresses within one port.
    const ip = after === null ? [] : [`s.ip ${descending ? "<=" : ">="} unhex(${bind(after.ip)})`];
    return {
      from: "service s indexed by service_port",
      where: [...base.where, `s.port = ${bind(port)}`, ...ip, ...cursor],
      order: ordered("s.ip, s.proto", descending),
      rest: rest.filter((term) => term.key !== "port" || term.negated || term.ports.some(({ protocol }) => protocol !== null)),
      isNatural: false,
      goOn: null,
    };
  }
  const from = `service s ${base.index}`;
  const order = ordered("s.ip, s.port, s.proto", descending);
  if (ranges === null) return { from, where: [...base.where, ...cursor], order, rest, isNatural: false, goOn: null };
  const along = alongRanges(ranges, from, descending, after, bind);
  return { ...along, where: [...along.where, ...base.where, ...cursor], order, rest };
}

/** Disagreements are few among a million services: the walk is along what some region may be silent about. */
function alongSilent(base: Base, ranges: readonly AddressRange[] | null, descending: boolean, after: Place | null, bind: Bind): Walk {
  const spanOf = (low: string, high: string): string => {
    const from = !descending && after !== null && after.ip > low ? after.ip : low;
    const to = descending && after !== null && after.ip < high ? after.ip : high;
    return `v.ip between unhex(${bind(from)}) and unhex(${bind(to)})`;
  };
  const cursor =
    after === null ? [] : [beyond("v.ip, v.port, v.proto", descending, [`unhex(${bind(after.ip)})`, bind(after.port), bind(after.proto)])];
  const [low, high] = [ranges?.[0]?.first, ranges?.at(-1)?.last];
  const span = low === undefined || high === undefined ? [] : [spanOf(addressToHex(low), addressToHex(high))];
  return {
    from: DISAGREEING,
    where: [...base.where, ...span, ...cursor],
    order: ordered("s.ip, s.port, s.proto", descending),
    walkOrder: ordered("v.ip, v.port, v.proto", descending),
    rest: base.rest,
    isNatural: false,
    goOn: null,
  };
}

/**
 * Ranges that lie ahead of `after`. Several are walked through one after the other: they are disjoint and in order, so the walk is in the order of
 * addresses without being sorted. Backwards, an index is only followed within one range: then one range is one walk.
 */
function alongRanges(
  ranges: readonly AddressRange[],
  from: string,
  descending: boolean,
  after: Place | null,
  bind: Bind,
): Pick<Walk, "from" | "where" | "isNatural" | "goOn"> {
  const all = ranges.map(({ first, last }) => [addressToHex(first), addressToHex(last)] as const);
  const ahead = (descending ? all.toReversed() : all).flatMap(([lo, hi]): (readonly [string, string])[] => {
    if (after === null) return [[lo, hi]];
    if (descending) return lo > after.ip ? [] : [[lo, hi < after.ip ? hi : after.ip]];
    return hi < after.ip ? [] : [[lo > after.ip ? lo : after.ip, hi]];
  });
  const list = ahead.slice(0, descending ? 1 : RANGES_MAX);
  const then = ahead[list.length];
  const goOn = then === undefined ? null : descending ? { ip: then[1], port: 65_535, proto: 255 } : { ip: then[0], port: 0, proto: 0 };
  const [only] = list;
  if (only === undefined) return { from, where: ["s.port < 0"], isNatural: false, goOn };
  if (list.length === 1)
    return { from, where: [`s.ip between unhex(${bind(only[0])}) and unhex(${bind(only[1])})`], isNatural: false, goOn };
  return {
    from: `json_each(${bind(JSON.stringify(list))}) a cross join ${from}`,
    where: ["s.ip between unhex(a.value->>0) and unhex(a.value->>1)"],
    isNatural: true,
    goOn,
  };
}

function byPort(context: SearchContext, base: Base, descending: boolean, after: Place | null, bind: Bind): Walk {
  if (!base.isShown) {
    throw new PortolanError(
      "invalid",
      "services are sorted by port only as they are shown by default (state:open,missing known:hide); drop the sort, or name one port",
    );
  }
  const cursor =
    after === null ? [] : [beyond("s.port, s.ip, s.proto", descending, [bind(after.port), `unhex(${bind(after.ip)})`, bind(after.proto)])];
  const [low, high] = portSpan(context);
  const span = low === 0 && high === 65_535 ? [] : [`s.port between ${bind(low)} and ${bind(high)}`];
  return {
    from: "service s indexed by service_port",
    where: [...base.where, ...span, ...cursor],
    order: ordered("s.port, s.ip, s.proto", descending),
    rest: base.rest,
    isNatural: false,
    goOn: null,
  };
}

type Base = {
  readonly index: string;
  readonly where: readonly string[];
  readonly rest: readonly FilterTerm[];
  /** The default states, without known-good. */ readonly isShown: boolean;
};

/** State and known-good: the conditions stand literally as in the partial indexes, which are used only then. */
function baseOf({ filter }: SearchContext): Base {
  const states = filter.terms.find((term) => term.key === "state" && !term.negated);
  const known = filter.terms.find((term) => term.key === "known");
  const wanted = states?.key === "state" ? states.states.join() : "";
  const rest = filter.terms.filter((term) => term !== states && term !== known);
  const hidden = known?.key === "known" && known.known === "hide";
  if (wanted === "open,missing" && hidden)
    return { index: "indexed by service_shown", where: ["s.state < 2 and s.known = 0"], rest, isShown: true };
  if (wanted === "missing")
    return { index: "indexed by service_missing", where: ["s.state = 1"], rest: withKnown(rest, known), isShown: false };
  if (wanted === "closed")
    return { index: "indexed by service_closed", where: ["s.state = 2"], rest: withKnown(rest, known), isShown: false };
  if (known?.key === "known" && known.known === "only")
    return {
      index: "indexed by service_good",
      where: ["s.known = 1"],
      rest: states === undefined ? rest : [...rest, states],
      isShown: false,
    };
  const open = wanted === "open" && hidden;
  if (open)
    return {
      index: "indexed by service_shown",
      where: ["s.state < 2 and s.known = 0"],
      rest: states === undefined ? rest : [...rest, states],
      isShown: true,
    };
  return { index: "not indexed", where: [], rest: withKnown(states === undefined ? rest : [...rest, states], known), isShown: false };
}

function withKnown(rest: readonly FilterTerm[], known: FilterTerm | undefined): FilterTerm[] {
  return known === undefined || (known.key === "known" && known.known === "show") ? [...rest] : [...rest, known];
}

/** Addresses that all terms about addresses have in common; null when there is no such term. */
function wantedRanges(context: SearchContext): AddressRange[] | null {
  let ranges: AddressRange[] | null = null;
  for (const term of context.filter.terms) {
    if (term.negated || (term.key !== "net" && term.key !== "group")) continue;
    const own = term.key === "net" ? [...term.ranges] : rangesOf(term.names, context);
    ranges = ranges === null ? own : intersectRanges(ranges, own);
  }
  return ranges;
}

/** The one port that a filter asks for; null for none or several. */
function onePort({ filter }: SearchContext): number | null {
  const terms = filter.terms.filter((term) => term.key === "port" && !term.negated);
  const [term] = terms;
  if (terms.length !== 1 || term?.key !== "port") return null;
  const [port] = term.ports;
  return port !== undefined && term.ports.every(({ first, last }) => first === port.first && last === port.first) ? port.first : null;
}

/** Lowest and highest port that can match. */
function portSpan({ filter }: SearchContext): readonly [low: number, high: number] {
  let span: readonly [number, number] = [0, 65_535];
  for (const term of filter.terms) {
    if (term.negated || term.key !== "port") continue;
    span = [
      Math.max(span[0], Math.min(...term.ports.map(({ first }) => first))),
      Math.min(span[1], Math.max(...term.ports.map(({ last }) => last))),
    ];
  }
  return span;
}

function beyond(columns: string, descending: boolean, values: readonly string[]): string {
  return `(${columns}) ${descending ? "<" : ">"} (${values.join(", ")})`;
}

function ordered(columns: string, descending: boolean): string {
  return descending ? columns.replaceAll(/(,|$)/g, " desc$1") : columns;
}

/** Conditions of the terms that the walk does not meet by itself. */
export function restConditions(walk: Walk, context: SearchContext, bind: Bind): string[] {
  return walk.rest.map((term) => conditionOf(term, context, bind));
}
