import type { InStatement, ResultSet } from "@libsql/client/web";
import { z } from "zod";
import { PortolanError } from "../core/errors.ts";
import type { RangeGroup, RegistryState, ScannerGroup } from "./types.ts";

// sqld's parser refuses ORDER BY inside an aggregate, so rows are sorted in a subquery. Each table comes as one JSON text: a response then stays far below sqld's 10 MB, and a load is one round trip.
const LOAD: readonly string[] = [
  "select version from meta where id = 1",
  "select json_group_array(json_object('name', name, 'createdAtMs', created_at_ms)) from (select * from region order by name)",
  `select json_group_array(json_object('name', name, 'region', region, 'addresses', json(addresses), 'publicKey', public_key,
     'enabled', enabled, 'createdAtMs', created_at_ms)) from (select * from scanner order by name)`,
  "select json_group_array(name) from (select * from scanner_group order by name)",
  "select json_group_array(json_array(group_name, scanner, pinned)) from (select * from group_member order by group_name, scanner)",
  "select json_group_array(name) from (select * from range_group order by name)",
  // In rows of 5,000, since one value may have 5 MB at most.
  `select json_group_array(json_array(group_name, canonical, nullif(text, canonical)))
     from (select *, (row_number() over (order by group_name, first_key) - 1) / 5000 as chunk from range order by group_name, first_key)
     group by chunk order by chunk`,
  `select json_group_array(json_object('id', id, 'ranges', json(ranges), 'ports', ports, 'owner', owner, 'reason', reason,
     'expiresAtMs', expires_at_ms, 'createdAtMs', created_at_ms)) from (select * from exclusion order by created_at_ms, id)`,
  `select json_group_array(json_object('id', id, 'name', name, 'revision', revision, 'enabled', enabled, 'include', json(include_groups),
     'exclude', json(exclude_groups), 'ports', ports, 'rateLimitPps', rate_limit_pps, 'retries', retries, 'group', group_name, 'engine', engine,
     'intervalS', interval_s, 'deadlineS', deadline_s, 'closeAfter', close_after, 'confirm', confirm, 'home', home, 'pairsMax', pairs_max,
     'canaries', json(canaries), 'ownGroup', own_group, 'createdAtMs', created_at_ms)) from (select * from plan order by name)`,
];

const flag = z.union([z.literal(0), z.literal(1)]).transform((value) => value === 1);
const names = z.array(z.string());
const regions = z.array(z.object({ name: z.string(), createdAtMs: z.int() }));
const scanners = z.array(
  z.object({ name: z.string(), region: z.string(), addresses: names, publicKey: z.string(), enabled: flag, createdAtMs: z.int() }),
);
const members = z.array(z.tuple([z.string(), z.string(), z.int().nullable()]));
const ranges = z.array(z.tuple([z.string(), z.string(), z.string().nullable()]));
const exclusions = z.array(
  z.object({
    id: z.string(),
    ranges: names,
    ports: z.string().nullable(),
    owner: z.string(),
    reason: z.string(),
    expiresAtMs: z.int().nullable(),
    createdAtMs: z.int(),
  }),
);
const plans = z.array(
  z.object({
    id: z.string(),
    name: z.string(),
    revision: z.int(),
    enabled: flag,
    include: names,
    exclude: names,
    ports: z.string(),
    rateLimitPps: z.int(),
    retries: z.int(),
    group: z.string(),
    engine: z.enum(["auto", "masscan", "connect"]),
    intervalS: z.int().nullable(),
    deadlineS: z.int(),
    closeAfter: z.int(),
    confirm: flag,
    home: z.string(),
    pairsMax: z.int().nullable(),
    canaries: z.array(z.object({ address: z.string(), port: z.int() })),
    ownGroup: z.string().nullable(),
    createdAtMs: z.int(),
  }),
);

/** The statements that load everything, for one read transaction; `parseState` takes their results. */
export function loadStatements(): InStatement[] {
  return LOAD.map((sql) => ({ sql, args: [] }));
}

/** Throws `unavailable` when the row of the version is missing (the migrations were not applied). */
export function parseState(results: readonly ResultSet[]): RegistryState {
  const json = (index: number): unknown => {
    const rows = results[index]?.rows ?? [];
    return rows.flatMap((row) => {
      const text = row[0];
      if (typeof text !== "string") throw new PortolanError("internal", `registry table ${index} came back without JSON`);
      return z.array(z.unknown()).parse(JSON.parse(text));
    });
  };
  return {
    version: parseVersion(results[0]),
    regions: regions.parse(json(1)),
    scanners: scanners.parse(json(2)),
    groups: collectGroups(names.parse(json(3)), members.parse(json(4))),
    rangeGroups: collectRanges(names.parse(json(5)), ranges.parse(json(6))),
    exclusions: exclusions.parse(json(7)),
    plans: plans.parse(json(8)),
  };
}

/** Statement that reads only the version. */
export const VERSION_STATEMENT: InStatement = { sql: LOAD[0] ?? "", args: [] };

/** Counts accepted writes from 0. */
export function parseVersion(result: ResultSet | undefined): number {
  const version = result?.rows[0]?.[0];
  if (typeof version === "number") return version;
  throw new PortolanError("unavailable", "the registry has no version row; apply migrations/registry first");
}

function collectGroups(all: readonly string[], rows: z.infer<typeof members>): ScannerGroup[] {
  const byGroup = Map.groupBy(rows, ([group]) => group);
  return all.map((name) => ({
    name,
    builtIn: false,
    members: (byGroup.get(name) ?? []).map(([, scanner, pinned]) => ({ scanner, pinned })),
  }));
}

function collectRanges(all: readonly string[], rows: z.infer<typeof ranges>): RangeGroup[] {
  const byGroup = Map.groupBy(rows, ([group]) => group);
  return all.map((name) => ({
    name,
    builtIn: false,
    ranges: (byGroup.get(name) ?? []).map(([, canonical, text]) => ({ canonical, text: text ?? canonical })),
  }));
}
