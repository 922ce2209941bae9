import { PortolanError } from "../../core/errors.ts";
import { type Database, numberOf, type Sql, type SqlRow, type SqlValue, textOf } from "../database.ts";
import { limitOf } from "../page.ts";
import { SERVICE_COLUMNS, serviceOf } from "../services.ts";
import type { Page, Service } from "../types.ts";
import { type Place, restConditions, walkOf } from "./driver.ts";
import { LABEL_WINDOW, SEARCH_WINDOW, type SearchContext, type SearchQuery, type SearchSort } from "./query.ts";

/**
 * Services that a filter matches, in the order of `sort`. A page may be short or empty although more follow: one page looks at 10,000 services at
 * most, so that the rarest match costs no more than the first page; only `next` tells whether there is more.
 * Throws `invalid` for a cursor of another list and for what a list of services cannot tell, `not-found` for an unknown range group.
 */
export async function searchServices(database: Database, query: SearchQuery): Promise<Page<Service>> {
  const limit = limitOf(query.limit);
  const { statements, goOn } = searchSql(query, limit);
  const [rows = [], ends = []] = await database.batch(statements, "read");
  const items = rows.slice(0, limit).map(serviceOf);
  const last = rows.length > limit ? rows[limit - 1] : ends[0];
  return { items, next: last === undefined ? (goOn === null ? null : cursorText(goOn)) : cursorOf(last) };
}

/** The statement of one page and, for a filter that no index holds whole, the one that finds where its window ends. Exported for the test of their plans. */
export function searchSql(query: SearchQuery, limit: number): { readonly statements: Sql[]; readonly goOn: Place | null } {
  const { windowOf, rest, order, args, walkArgs, goOn, size } = built(query, query.sort ?? "address", placeOf(query.cursor));
  const page = (rows: number, where: string): Sql => ({
    sql: `select ${SERVICE_COLUMNS} from (${windowOf(rows)}) s${where} order by ${order} limit ${limit + 1}`,
    args,
  });
  if (rest.length === 0) return { statements: [page(limit + 1, "")], goOn };
  const end = {
    sql: `select lower(hex(s.ip)) as ip, s.port, s.proto from (${windowOf(size)}) s limit 1 offset ${size - 1}`,
    args: walkArgs,
  };
  return { statements: [page(size, ` where ${rest.join(" and ")}`), end], goOn };
}

type Built = {
  /** The first `rows` services of the walk. */
  readonly windowOf: (rows: number) => string;
  readonly order: string;
  readonly rest: readonly string[];
  readonly args: readonly SqlValue[];
  readonly walkArgs: readonly SqlValue[];
  readonly goOn: Place | null;
  readonly size: number;
};

/** Chooses the walk and binds the arguments; `facets.ts` counts along the same walk. */
export function built(context: SearchContext, sort: SearchSort, after: Place | null): Built {
  const args: SqlValue[] = [];
  const bind = (value: SqlValue): string => `?${args.push(value)}`;
  const walk = walkOf(context, sort, after, bind);
  const walkArgs = [...args];
  const rest = restConditions(walk, context, bind);
  const where = walk.where.length === 0 ? "" : ` where ${walk.where.join(" and ")}`;
  const order = walk.isNatural ? "" : ` order by ${walk.walkOrder ?? walk.order}`;
  const columns = "s.ip, s.port, s.proto, s.state, s.known, s.reopened, s.since_ms";
  const windowOf = (rows: number): string => `select ${columns} from ${walk.from}${where}${order} limit ${rows}`;
  return { windowOf, order: walk.order, rest, args, walkArgs, goOn: walk.goOn, size: context.window ?? windowSize(context) };
}

/** Labels take several seeks for each service. */
function windowSize({ filter }: SearchContext): number {
  return filter.terms.some(({ key }) => key === "label") ? LABEL_WINDOW : SEARCH_WINDOW;
}

function placeOf(cursor: string | undefined): Place | null {
  if (cursor === undefined) return null;
  const match = /^([0-9a-f]{32})\.(\d{1,5})\.(\d{1,3})$/.exec(cursor);
  if (match === null) throw new PortolanError("invalid", "the cursor is not one that this list gave; start again without it");
  const [, ip = "", port = "", proto = ""] = match;
  return { ip, port: Number(port), proto: Number(proto) };
}

function cursorOf(row: SqlRow): string {
  return cursorText({ ip: textOf(row, "ip"), port: numberOf(row, "port"), proto: numberOf(row, "proto") });
}

function cursorText({ ip, port, proto }: Place): string {
  return `${ip}.${port}.${proto}`;
}
