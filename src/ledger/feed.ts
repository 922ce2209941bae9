import { PortolanError } from "../core/errors.ts";
import type { FilterKey } from "../core/filter/filter.ts";
import { type Database, numberOf, optionalTextOf, type Sql, type SqlRow, type SqlValue } from "./database.ts";
import { limitOf, numberedCursor } from "./page.ts";
import { keyOf, stateOf } from "./services.ts";
import { type Change, CHANGE_KINDS, type ChangeCause, type ChangeKind, type ChangeQuery } from "./feed-types.ts";
import { type Bind, conditionOf } from "./search/conditions.ts";
import type { Page } from "./types.ts";

/** Changes that one page looks at when only some kinds are wanted. */
const SCANNED_MAX = 20_000;

/** See `LedgerReader.listChanges`. */
export async function listChanges(database: Database, query: ChangeQuery): Promise<Page<Change>> {
  const limit = limitOf(query.limit);
  const oldest = query.first === "oldest";
  const isFiltered = query.kinds !== undefined || query.matching !== undefined;
  const from = query.cursor === undefined ? null : numberedCursor(query.cursor);
  const [rows, ends] = await database.batch(
    [
      pageSql(query, from, limit),
      // Where the stretch that was looked at ends.
      oldest
        ? { sql: "select max(n) as n from (select n from change where n > ?1 order by n limit ?2)", args: [from ?? 0, SCANNED_MAX] }
        : {
            sql: "select min(n) as n from (select n from change where n < ?1 order by n desc limit ?2)",
            args: [from ?? Number.MAX_SAFE_INTEGER, SCANNED_MAX],
          },
    ],
    "read",
  );
  const items = (rows ?? []).slice(0, limit).map(changeOf);
  const isCut = (rows ?? []).length > limit;
  const end = ends?.[0]?.["n"];
  const last = isCut || typeof end !== "number" ? (items.at(-1)?.n ?? null) : end;
  if (oldest) return { items, next: String(last ?? from ?? 0) };
  return { items, next: isCut || (last !== null && last > 1 && isFiltered) ? String(last) : null };
}

function pageSql({ kinds, first, matching }: ChangeQuery, from: number | null, limit: number): Sql {
  const args: SqlValue[] = [];
  const bind = (value: SqlValue): string => `?${args.push(value)}`;
  const [compare, order, start] = first === "oldest" ? [">", "asc", from ?? 0] : ["<", "desc", from ?? Number.MAX_SAFE_INTEGER];
  return {
    sql: `select s.n, s.kind, lower(hex(s.ip)) as ip, s.port, s.proto, s.was, s.state, lower(hex(s.job)) as job, r.kind as cause_kind,
        lower(hex(r.id)) as cause, s.at_ms
      from (select * from change where n ${compare} ${bind(start)} order by n ${order} limit ${SCANNED_MAX}) s left join record r on r.n = s.cause
      where ${[ofKinds(kinds ?? CHANGE_KINDS, bind), ...(matching === undefined ? [] : matches(matching, bind))].join(" and ")}
      order by s.n ${order} limit ${bind(limit + 1)}`,
    args,
  };
}

function ofKinds(kinds: readonly ChangeKind[], bind: Bind): string {
  return `s.kind in (${kinds.map((kind) => bind(CHANGE_KINDS.indexOf(kind))).join(", ")})`;
}

const KEYS_OF_CHANGES: ReadonlySet<FilterKey> = new Set(["net", "port", "proto", "group", "change"]);

/** Conditions of a filter on a change `s`; news about a job has no address and port, and no such term matches it. */
function matches({ filter, groups }: NonNullable<ChangeQuery["matching"]>, bind: Bind): string[] {
  return filter.terms.map((term) => {
    if (term.key === "change") return `${term.negated ? "not " : ""}${ofKinds(term.changes, bind)}`;
    if (KEYS_OF_CHANGES.has(term.key)) return conditionOf(term, { filter, groups, nowMs: 0, plans: [] }, bind);
    throw new PortolanError(
      "invalid",
      `changes cannot be filtered by ${term.key}:; they know ip:, net:, port:, proto:, group: and change:, and GET /v1/services knows the rest`,
    );
  });
}

function changeOf(row: SqlRow): Change {
  const service = row["port"] === null ? { address: null, protocol: null, port: null } : keyOf(row);
  return {
    n: numberOf(row, "n"),
    kind: CHANGE_KINDS[numberOf(row, "kind")] ?? "first-observed",
    ...service,
    was: row["was"] === null ? null : stateOf(numberOf(row, "was")),
    state: row["state"] === null ? null : stateOf(numberOf(row, "state")),
    job: optionalTextOf(row, "job") || null,
    cause: causeOf(row),
    atMs: numberOf(row, "at_ms"),
  };
}

function causeOf(row: SqlRow): ChangeCause {
  const kind = row["cause_kind"];
  const id = optionalTextOf(row, "cause") || null;
  switch (kind) {
    case "part":
    case "upload":
    case "probe":
    case "release":
      return { kind, id };
    case "tile-complete":
      // What was missed was missed by the job; only a held tile is news itself.
      return numberOf(row, "kind") === CHANGE_KINDS.indexOf("job-held")
        ? { kind, id }
        : { kind: "job", id: optionalTextOf(row, "job") || null };
    default:
      return { kind: RULED.has(numberOf(row, "kind")) ? "rule" : "withdrawal", id: null };
  }
}

/** Kinds that come without a record when it is a rule of the registry that changed. */
const RULED: ReadonlySet<number> = new Set([CHANGE_KINDS.indexOf("unmonitored"), CHANGE_KINDS.indexOf("known-good-closed")]);
