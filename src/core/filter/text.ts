import { normaliseRanges } from "../range.ts";
import { FILTER_CHANGES, FILTER_LABELS, FILTER_PROTOCOLS, FILTER_STATES, type FilterTerm } from "./terms.ts";
import { formatAge, formatPortChoice, rangeTexts, sortPorts } from "./values.ts";

/** The same term with its values in order and without repeats. */
export function sortTerm(term: FilterTerm): FilterTerm {
  switch (term.key) {
    case "net":
      return { ...term, ranges: normaliseRanges(term.ranges) };
    case "port":
      return { ...term, ports: sortPorts(term.ports) };
    case "proto":
      return { ...term, protocols: FILTER_PROTOCOLS.filter((protocol) => term.protocols.includes(protocol)) };
    case "group":
    case "region":
    case "scanner":
      return { ...term, names: [...new Set(term.names)].sort() };
    case "state":
      return { ...term, states: FILTER_STATES.filter((state) => term.states.includes(state)) };
    case "label":
      return { ...term, labels: FILTER_LABELS.filter((label) => term.labels.includes(label)) };
    case "change":
      return { ...term, changes: FILTER_CHANGES.filter((change) => term.changes.includes(change)) };
    case "known":
    case "seen":
    case "first":
    case "vantage":
      return term;
  }
}

/** Canonical text of one term; `parseFilter` reads it back. */
export function formatTerm(given: FilterTerm): string {
  const term = sortTerm(given);
  const sign = term.negated ? "-" : "";
  switch (term.key) {
    case "net":
      return `${sign}${rangeTexts(term.ranges)}`;
    case "port":
      return `${sign}port:${term.ports.map(formatPortChoice).join()}`;
    case "proto":
      return `${sign}proto:${term.protocols.join()}`;
    case "group":
    case "region":
    case "scanner":
      return `${sign}${term.key}:${term.names.join()}`;
    case "state":
      return `${sign}state:${term.states.join()}`;
    case "label":
      return `${sign}label:${term.labels.join()}`;
    case "change":
      return `${sign}change:${term.changes.join()}`;
    case "known":
      return `known:${term.known}`;
    case "seen":
    case "first":
      return `${sign}${term.key}:${term.younger ? "<" : ">"}${formatAge(term.ageS)}`;
    case "vantage":
      return `${sign}vantage:${term.vantage}`;
  }
}
