import { quoted } from "../address.ts";
import { PortolanError } from "../errors.ts";
import { nearest } from "./nearest.ts";
import {
  FILTER_CHANGES,
  FILTER_KNOWN,
  FILTER_LABELS,
  FILTER_PROTOCOLS,
  FILTER_STATES,
  type Filter,
  type FilterKey,
  type FilterTerm,
} from "./terms.ts";
import { formatTerm, sortTerm } from "./text.ts";
import { age, groupName, invalid, looksLikeAddress, name, oneAddress, portChoice, ranges } from "./values.ts";

export type { Filter, FilterKey, FilterTerm } from "./terms.ts";

const FILTER_CHARS_MAX = 4_000;
const TERMS_MAX = 64;
const VALUES_MAX = 256;

/** Keys as people write them, in the order of the canonical text; `ip` is another spelling of `net`. */
export const FILTER_KEYS = [
  "ip",
  "net",
  "port",
  "proto",
  "group",
  "region",
  "scanner",
  "state",
  "label",
  "change",
  "known",
  "seen",
  "first",
  "vantage",
] as const;
type WrittenKey = (typeof FILTER_KEYS)[number];

/**
 * Reads a filter: `key:value,value` terms with spaces between them, in any order. Commas mean or, terms mean and; `-` or `!` before a term
 * negates it. Addresses, CIDRs, ports and `tcp/443` stand for themselves. The empty filter is right: it leaves nothing out but what the defaults do.
 * Throws `invalid` naming the word that is wrong and, for an unknown key, the nearest one.
 */
export function parseFilter(text: string): Filter {
  if (text.length > FILTER_CHARS_MAX) {
    throw new PortolanError(
      "invalid",
      `the filter has ${text.length} characters; at most ${FILTER_CHARS_MAX} are read: shorten it, or use a range group`,
    );
  }
  const words = text.split(/\s+/).filter((word) => word !== "");
  if (words.length > TERMS_MAX)
    throw new PortolanError("invalid", `the filter has ${words.length} terms; at most ${TERMS_MAX} are read: join values with commas`);
  return canonical(words.map(parseWord));
}

function parseWord(word: string): FilterTerm {
  const negated = word.startsWith("-") || word.startsWith("!");
  const body = negated ? word.slice(1) : word;
  const bare = bareTerm(body, negated);
  if (bare !== null) return bare;
  const colon = body.indexOf(":");
  const key = colon < 0 ? undefined : FILTER_KEYS.find((candidate) => candidate === body.slice(0, colon).toLowerCase());
  if (key === undefined) throw unknownWord(body, colon);
  const values = body.slice(colon + 1).split(",");
  if (values.some((value) => value === "")) throw invalid(word, `has an empty value; write for instance ${EXAMPLES[key]}`);
  if (values.length > VALUES_MAX) throw invalid(word, `has ${values.length} values; at most ${VALUES_MAX} are read`);
  return { negated, ...keyedTerm(key, values, negated) };
}

const EXAMPLES: Readonly<Record<WrittenKey, string>> = {
  ip: "ip:192.0.2.7",
  net: "net:192.0.2.0/24",
  port: "port:22,80-90",
  proto: "proto:udp",
  group: "group:edge",
  region: "region:eu",
  scanner: "scanner:de01",
  state: "state:open,missing",
  label: "label:stale",
  change: "change:reopened",
  known: "known:show",
  seen: "seen:<24h",
  first: "first:>7d",
  vantage: "vantage:disagree",
};

/** What means something without a key; null for the rest. */
function bareTerm(body: string, negated: boolean): FilterTerm | null {
  const values = body.split(",");
  const ports = values.map((value) => (/^((tcp|udp|sctp)\/)?\d+(-\d+)?$/.test(value) ? portChoice(value) : null));
  if (ports.every((port) => port !== null)) return { negated, key: "port", ports };
  // An IPv6 address holds colons, as keyed terms do; no key is made of hexadecimal digits alone before its first colon but "fe:" and the like.
  const isKeyed = FILTER_KEYS.some((key) => body.toLowerCase().startsWith(`${key}:`));
  if (!isKeyed && values.every(looksLikeAddress)) return { negated, key: "net", ranges: values.map(ranges) };
  return null;
}

function unknownWord(body: string, colon: number): PortolanError {
  const key = colon < 0 ? body : body.slice(0, colon);
  const guess = nearest(key.toLowerCase(), FILTER_KEYS);
  const hint = guess === null ? `known keys are ${FILTER_KEYS.join(", ")}` : `did you mean ${EXAMPLES[guess]}?`;
  return colon < 0
    ? new PortolanError("invalid", `${quoted(body)} in the filter is neither an address, a network, a port nor key:value; ${hint}`)
    : new PortolanError("invalid", `the filter has no key ${quoted(key)}; ${hint}`);
}

type Unsigned<T> = T extends unknown ? Omit<T, "negated"> : never;

function keyedTerm(key: WrittenKey, values: readonly string[], negated: boolean): Unsigned<FilterTerm> {
  switch (key) {
    case "ip":
      return { key: "net", ranges: values.map(oneAddress) };
    case "net":
      return { key, ranges: values.map(ranges) };
    case "port":
      return { key, ports: values.map((value) => portChoice(value) ?? fail(value, `is no port; write ${EXAMPLES.port} or tcp/443`)) };
    case "proto":
      return { key, protocols: values.map((value) => oneOf(value, FILTER_PROTOCOLS)) };
    case "group":
      return { key, names: values.map(groupName) };
    case "region":
    case "scanner":
      return { key, names: values.map(name) };
    case "state":
      return { key, states: values.map((value) => oneOf(value, FILTER_STATES)) };
    case "label":
      return { key, labels: values.map((value) => oneOf(value, FILTER_LABELS)) };
    case "change":
      return { key, changes: values.map((value) => oneOf(value, FILTER_CHANGES)) };
    case "known":
      if (negated) throw invalid(`-${key}:${values.join()}`, "cannot be negated; write known:hide, known:show or known:only");
      return { key, known: oneOf(single(key, values), FILTER_KNOWN) };
    case "seen":
    case "first":
      return { key, ...age(single(key, values)) };
    case "vantage":
      return { key, vantage: oneOf(single(key, values), ["disagree"] as const) };
  }
}

function single(key: WrittenKey, values: readonly string[]): string {
  const [value = "", ...more] = values;
  if (more.length > 0) throw invalid(`${key}:${values.join()}`, `takes one value; write for instance ${EXAMPLES[key]}`);
  return value;
}

function oneOf<T extends string>(value: string, choices: readonly T[]): T {
  const found = choices.find((choice) => choice === value.toLowerCase());
  return found ?? fail(value, `is none of ${choices.join(", ")}`);
}

function fail(text: string, why: string): never {
  throw invalid(text, why);
}

/** Terms in the order of the keys, each with its values in order and without repeats; repeated terms once. */
function canonical(terms: readonly FilterTerm[]): Filter {
  const known = terms.filter((term) => term.key === "known");
  if (new Set(known.map(formatTerm)).size > 1)
    throw new PortolanError("invalid", "the filter says known: more than once; keep one of hide, show and only");
  const texts = new Map(terms.map((term) => [formatTerm(term), sortTerm(term)]));
  const order = (key: FilterKey): number => FILTER_KEYS.indexOf(key);
  const entries = [...texts].toSorted(([a, x], [b, y]) => order(x.key) - order(y.key) || (a < b ? -1 : 1));
  return { terms: entries.map(([, term]) => term) };
}

/** Both filters at once. Throws `invalid` when they contradict each other about known-good services. */
export function bothFilters(a: Filter, b: Filter): Filter {
  return canonical([...a.terms, ...b.terms]);
}

/** Canonical text of a filter: equal filters have equal texts, and `parseFilter(formatFilter(f))` is `f`. */
export function formatFilter(filter: Filter): string {
  return filter.terms.map(formatTerm).join(" ");
}

/** What holds when a filter says nothing about states and known-good services: active ones, without the known-good. */
const FILTER_DEFAULTS: Filter = {
  terms: [
    { negated: false, key: "state", states: ["open", "missing"] },
    { negated: false, key: "known", known: "hide" },
  ],
};

/** The filter with the defaults that it leaves open, for queries and for the chips that show them. */
export function withDefaults(filter: Filter): Filter {
  const said = new Set(filter.terms.map(({ key }) => key));
  return canonical([...filter.terms, ...FILTER_DEFAULTS.terms.filter(({ key }) => !said.has(key))]);
}
