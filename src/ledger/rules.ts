import { ADDRESS_LAST, addressFromHex, addressToHex } from "../core/address.ts";
import { formatPorts, normalisePorts, type PortRange, protocolNumber } from "../core/port.ts";
import { type AddressRange, formatRange, normaliseRanges } from "../core/range.ts";
import type { Sha256Hex } from "../core/statement.ts";
import { type Database, numberOf, optionalTextOf, type Sql, type SqlRow } from "./database.ts";
import { claimLease } from "./settle.ts";

/** Addresses and ports of one rule or plan; may overlap with others. */
export type RuleTarget = { readonly ranges: readonly AddressRange[]; readonly ports: readonly PortRange[] };

/** Rules of the registry at one of its versions. */
export type RuleSet = { readonly version: number; readonly targets: readonly RuleTarget[] };

type RulesContext = { readonly epoch: number; readonly sha256: Sha256Hex };

const KIND = { monitored: 0, "known-good": 1 } as const;
export type RuleKind = keyof typeof KIND;

/** Services in one window of marking. */
const WINDOW_SERVICES = 5_000;
/** Ranges in one argument: libSQL takes none above 5 MB. */
const CHUNK_RANGES = 20_000;

/**
 * Replaces the rules of one kind. When they differ from those that are here, all services are due to be marked anew, in
 * windows (`runRules`). Repeatable: equal rules only note the version.
 */
export async function applyRules(database: Database, kind: RuleKind, { version, targets }: RuleSet, context: RulesContext): Promise<void> {
  const merged = mergedByPorts(targets);
  const hash = context.sha256(JSON.stringify(merged.map(({ ports, ranges }) => [formatPorts(ports), ranges.map(formatRange)])));
  const number = KIND[kind];
  const [rows] = await database.batch([{ sql: "select hash, version from rule_set where kind = ?1", args: [number] }], "read");
  const known = rows?.[0];
  if (known?.["hash"] === hash) {
    if (known["version"] === version) return;
    await database.batch(
      [claimLease(context.epoch, 0), { sql: "update rule_set set version = ?2 where kind = ?1", args: [number, version] }],
      "write",
    );
    return;
  }
  await database.batch(
    [
      claimLease(context.epoch, 0),
      { sql: "delete from rule_range where kind = ?1", args: [number] },
      { sql: "delete from rule_port where kind = ?1", args: [number] },
      ...insertRules(number, merged),
      {
        sql: `insert into rule_set(kind, version, hash, done) values (?1, ?2, ?3, 0)
          on conflict do update set version = excluded.version, hash = excluded.hash, done = 0, cursor = null`,
        args: [number, version, hash],
      },
    ],
    "write",
  );
}

/** One rule for each set of ports, with all addresses that any target gives it: so a look-up seeks once for each set. */
function mergedByPorts(targets: readonly RuleTarget[]): { readonly ports: PortRange[]; readonly ranges: AddressRange[] }[] {
  const byPorts = new Map<string, { ports: PortRange[]; ranges: AddressRange[] }>();
  for (const target of targets) {
    const ports = normalisePorts(target.ports);
    const text = formatPorts(ports);
    const rule = byPorts.get(text) ?? { ports, ranges: [] };
    rule.ranges.push(...target.ranges);
    byPorts.set(text, rule);
  }
  return [...byPorts]
    .toSorted(([a], [b]) => (a < b ? -1 : 1))
    .map(([, { ports, ranges }]) => ({ ports, ranges: normaliseRanges(ranges) }))
    .filter(({ ports, ranges }) => ports.length > 0 && ranges.length > 0);
}

function insertRules(kind: number, rules: ReturnType<typeof mergedByPorts>): Sql[] {
  const ports = rules.flatMap((rule, index) =>
    rule.ports.map(({ protocol, first, last }) => [index, protocolNumber(protocol), last, first] as const),
  );
  const ranges = rules.flatMap((rule, index) =>
    rule.ranges.map(({ first, last }) => [index, addressToHex(last), addressToHex(first)] as const),
  );
  const chunks = Array.from({ length: Math.ceil(ranges.length / CHUNK_RANGES) }, (_, at) =>
    ranges.slice(at * CHUNK_RANGES, (at + 1) * CHUNK_RANGES),
  );
  return [
    {
      sql: "insert into rule_port(kind, rule, proto, hi, lo) select ?1, value->>0, value->>1, value->>2, value->>3 from json_each(?2)",
      args: [kind, JSON.stringify(ports)],
    },
    ...chunks.map((chunk) => ({
      sql: "insert into rule_range(kind, rule, hi, lo) select ?1, value->>0, unhex(value->>1), unhex(value->>2) from json_each(?2)",
      args: [kind, JSON.stringify(chunk)],
    })),
  ];
}

/** Marks one window of services by rules that changed, and tells whether there was one. */
export async function runRules(database: Database, context: { epoch: number; window?: number }): Promise<boolean> {
  const [due] = await database.batch(
    [{ sql: "select kind, version, hash, lower(hex(cursor)) as cursor from rule_set where done = 0 order by kind limit 1" }],
    "read",
  );
  const row = due?.[0];
  if (row === undefined) return false;
  const from = optionalTextOf(row, "cursor") || addressToHex(0n);
  const [ends] = await database.batch(
    [
      {
        sql: "select lower(hex(ip)) as ip from service where ip >= unhex(?1) order by ip limit 1 offset ?2",
        args: [from, context.window ?? WINDOW_SERVICES],
      },
    ],
    "read",
  );
  const to = optionalTextOf(ends?.[0], "ip") ?? addressToHex(ADDRESS_LAST);
  await database.batch([claimLease(context.epoch, 0), ...marks(numberOf(row, "kind"), from, to), advance(row, to)], "write");
  return true;
}

/** Other rules may have come since we looked: their cursor stays at the beginning. */
function advance(row: SqlRow, to: string): Sql {
  const isLast = addressFromHex(to) === ADDRESS_LAST;
  return {
    sql: "update rule_set set done = ?3, cursor = unhex(?4) where kind = ?1 and hash = ?2 and done = 0",
    args: [numberOf(row, "kind"), String(row["hash"]), isLast ? 1 : 0, isLast ? null : addressToHex(addressFromHex(to) + 1n)],
  };
}

function marks(kind: number, from: string, to: string): Sql[] {
  const matches = (table: string) =>
    `(select r.matches from service_rule r where r.kind = ${kind} and r.ip = ${table}.ip and r.port = ${table}.port and r.proto = ${table}.proto)`;
  if (kind === KIND["known-good"]) {
    const sql = `update service set known = 1 - known where ip >= unhex(?1) and ip <= unhex(?2) and known <> ${matches("service")}`;
    return [{ sql, args: [from, to] }];
  }
  return [
    {
      sql: `delete from unmonitored where ip >= unhex(?1) and ip <= unhex(?2) and coalesce(${matches("unmonitored")}, 1) = 1`,
      args: [from, to],
    },
    {
      sql: `insert into unmonitored(ip, port, proto, since_ms) select s.ip, s.port, s.proto, (select stamp_ms from keeper where id = 1) from service s
        where s.ip >= unhex(?1) and s.ip <= unhex(?2) and s.state < 2 and ${matches("s")} = 0
          and (select c.covered from service_covered c where c.ip = s.ip and c.port = s.port and c.proto = s.proto) = 1
        on conflict do nothing`,
      args: [from, to],
    },
  ];
}

/** The version of the registry whose rules all services are marked by, or null before the first ones. */
export async function rulesVersion(database: Database, kind: RuleKind): Promise<{ version: number; marked: boolean } | null> {
  const [rows] = await database.batch([{ sql: "select version, done from rule_set where kind = ?1", args: [KIND[kind]] }], "read");
  const row = rows?.[0];
  return row === undefined ? null : { version: numberOf(row, "version"), marked: numberOf(row, "done") === 1 };
}
