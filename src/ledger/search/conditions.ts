import { addressToHex } from "../../core/address.ts";
import { PortolanError } from "../../core/errors.ts";
import type { FilterTerm } from "../../core/filter/filter.ts";
import { protocolNumber } from "../../core/port.ts";
import { normaliseRanges, type AddressRange } from "../../core/range.ts";
import type { SqlValue } from "../database.ts";
import { DISAGREES } from "../vantage.ts";
import type { SearchContext } from "./query.ts";

/** Adds an argument and returns its place in the statement. */
export type Bind = (value: SqlValue) => string;

const OF_SERVICE = "x.ip = s.ip and x.port = s.port and x.proto = s.proto";
const SIGHTINGS = `from sighting x where ${OF_SERVICE}`;

/** The condition of one term on a service `s`, its negation included. Throws `invalid` for what a list of services cannot tell. */
export function conditionOf(term: FilterTerm, context: SearchContext, bind: Bind): string {
  const condition = positive(term, context, bind);
  return term.negated ? `not (${condition})` : condition;
}

function positive(term: FilterTerm, context: SearchContext, bind: Bind): string {
  switch (term.key) {
    case "net":
      return inRanges(term.ranges, bind);
    case "group":
      return inRanges(rangesOf(term.names, context), bind);
    case "port":
      return anyOf(
        term.ports.map(({ protocol, first, last }) => {
          const ports = first === last ? `s.port = ${bind(first)}` : `s.port between ${bind(first)} and ${bind(last)}`;
          return protocol === null ? ports : `(${ports} and s.proto = ${bind(protocolNumber(protocol))})`;
        }),
      );
    case "proto":
      return `s.proto in (${term.protocols.map((protocol) => bind(protocolNumber(protocol))).join(", ")})`;
    case "region":
      return `exists (select 1 from sighting x cross join log l on l.n = x.log where ${OF_SERVICE} and x.own_rseq >= 0 and l.region in (${term.names.map(bind).join(", ")}))`;
    case "scanner":
      return `exists (select 1 from sighting x cross join signer k on k.n = x.signer where ${OF_SERVICE} and k.name in (${term.names.map(bind).join(", ")}))`;
    case "state":
      return `s.state in (${term.states.map((state) => ["open", "missing", "closed"].indexOf(state)).join(", ")})`;
    case "known":
      return term.known === "show" ? "s.known >= 0" : `s.known = ${term.known === "only" ? 1 : 0}`;
    case "seen":
      return ageCondition("max(x.last_at_s)", term, context, bind);
    case "first":
      return ageCondition("min(x.first_at_s)", term, context, bind);
    case "label":
      return anyOf(term.labels.map((label) => labelCondition(label, context, bind)));
    case "change":
      if (term.changes.join() === "reopened") return "s.reopened = 1";
      throw new PortolanError("invalid", `a list of services knows change:reopened only; GET /v1/changes lists ${term.changes.join(", ")}`);
    case "vantage":
      return DISAGREES;
  }
}

function ageCondition(of: string, term: FilterTerm & { key: "seen" | "first" }, { nowMs }: SearchContext, bind: Bind): string {
  return `(select ${of} ${SIGHTINGS}) ${term.younger ? ">" : "<"} ${bind(Math.floor(nowMs / 1_000) - term.ageS)}`;
}

function labelCondition(label: "stale" | "unmonitored" | "never-covered", { nowMs, plans }: SearchContext, bind: Bind): string {
  switch (label) {
    case "never-covered":
      return `(select c.covered from service_covered c where c.ip = s.ip and c.port = s.port and c.proto = s.proto) = 0`;
    case "unmonitored":
      return `exists (select 1 from service_rule r where r.kind = 0 and r.ip = s.ip and r.port = s.port and r.proto = s.proto and r.matches = 0)`;
    case "stale": {
      // As labels.ts tells it: some plan's newest job holds the pair, and none of them covered it within its own interval.
      const listed = bind(JSON.stringify(plans.map(({ id, intervalMs }) => [id, intervalMs])));
      const covers = `select 1 from json_each(${listed}) p
        cross join job_layout j on j.job = (select id from job where plan_id = p.value->>0 order by planned_at_ms desc limit 1)
        cross join layout_range a on a.layout = j.layout and a.hi = (select b.hi from layout_range b where b.layout = j.layout and b.hi >= s.ip order by b.hi limit 1)
        cross join layout_tile t on t.layout = j.layout and t.tile = a.tile
        left join covered_shape h on h.port_set = t.port_set and h.range_set = t.range_set
        where a.lo <= s.ip and (select q.lo from port_set q where q.id = t.port_set and q.proto = s.proto and q.hi >= s.port order by q.hi limit 1) <= s.port`;
      return `(exists (${covers}) and not exists (${covers} and h.last_ms >= ${bind(nowMs)} - (p.value->>1)))`;
    }
  }
}

/** Merged ranges of range groups. Throws `not-found` for one that nobody registered. */
export function rangesOf(names: readonly string[], { groups }: SearchContext): AddressRange[] {
  return normaliseRanges(
    names.flatMap((name) => {
      const ranges = groups.get(name);
      if (ranges === undefined) throw new PortolanError("not-found", `the filter names the range group "${name}", which is not registered`);
      return ranges;
    }),
  );
}

/** Below this many ranges a condition is spelt out; above, it seeks in a list. */
const SPELT_RANGES_MAX = 8;

function inRanges(ranges: readonly AddressRange[], bind: Bind): string {
  if (ranges.length === 0) return "s.port < 0";
  const texts = ranges.map(({ first, last }) => [addressToHex(first), addressToHex(last)] as const);
  if (texts.length <= SPELT_RANGES_MAX) return anyOf(texts.map(([lo, hi]) => `s.ip between unhex(${bind(lo)}) and unhex(${bind(hi)})`));
  return `exists (select 1 from json_each(${bind(JSON.stringify(texts))}) a where s.ip between unhex(a.value->>0) and unhex(a.value->>1))`;
}

function anyOf(conditions: readonly string[]): string {
  return conditions.length === 1 ? (conditions[0] ?? "0") : `(${conditions.join(" or ")})`;
}
