import type { InArgs, InStatement, ResultSet } from "@libsql/client/web";
import { type SQL, desc, sql } from "drizzle-orm";
import { drizzle } from "drizzle-orm/libsql/web";
import type { SQLiteColumn, SQLiteTable } from "drizzle-orm/sqlite-core";
import { z } from "zod";
import { PortolanError } from "../core/errors.ts";

/** Builds statements and is connected to nothing: rules make them, a store runs many of them as one transaction. */
export const build = drizzle.mock();

/** A statement that drizzle built. */
export type Query = { toSQL(): { readonly sql: string; readonly params: readonly unknown[] } };

/** A statement with the reading of its result. */
export type Read<T> = { readonly query: Query; readonly parse: (result: ResultSet) => T };

/** As the libSQL client wants it. */
export function statementOf(query: Query): InStatement {
  const { sql: text, params } = query.toSQL();
  // Each parameter was encoded by its column.
  return { sql: text, args: params as InArgs };
}

type Columns = Readonly<Record<string, SQLiteColumn>>;

/** A row of these columns, typed by the schema. */
export type RowOf<C extends Columns> = {
  readonly [K in keyof C]: C[K]["_"]["notNull"] extends true ? C[K]["_"]["data"] : C[K]["_"]["data"] | null;
};

type From = {
  readonly from: SQLiteTable;
  readonly where?: SQL;
  readonly orderBy: readonly SQLiteColumn[];
  readonly descending?: boolean;
  readonly limit?: number;
};

/** One value may have 5 MB at most. */
const ROWS_PER_VALUE = 5_000;
const valuesSchema = z.array(z.array(z.union([z.string(), z.number(), z.null()])));

/**
 * Reads `columns` (no bytes) of the rows in order. They come as JSON texts of 5,000 rows each: with a cell for each value the response to
 * a whole registry would pass the 10 MB that sqld sends.
 */
export function readRows<C extends Columns>(columns: C, { from, where, orderBy, descending = false, limit }: From): Read<RowOf<C>[]> {
  const ordered = descending ? orderBy.map((column) => desc(column)) : [...orderBy];
  const order = sql.join(ordered, sql`, `);
  const chunk = sql<number>`(row_number() over (order by ${order}) - 1) / ${sql.raw(String(ROWS_PER_VALUE))}`.as("chunk");
  const byChunk = sql`${sql.identifier("chunk")}`;
  const rows = build
    .select({ ...columns, chunk })
    .from(from)
    .where(where)
    .orderBy(...ordered)
    .limit(limit ?? -1)
    .as("wanted");
  const names = Object.values(columns).map((column) => sql.identifier(column.name));
  // sqld's parser refuses ORDER BY inside an aggregate, so the rows are sorted in the subquery.
  const query = build
    .select({ json: sql<string>`json_group_array(json_array(${sql.join(names, sql`, `)}))` })
    .from(rows)
    .groupBy(byChunk)
    .orderBy(byChunk);
  return { query, parse: (result) => result.rows.flatMap((row) => decode(columns, row[0])) };
}

function decode<C extends Columns>(columns: C, text: unknown): RowOf<C>[] {
  if (typeof text !== "string") throw new PortolanError("internal", "a table of the registry came back without JSON");
  const entries = Object.entries(columns);
  return valuesSchema.parse(JSON.parse(text)).map((values) => {
    const row = entries.map(([name, column], index) => {
      const value = values[index] ?? null;
      return [name, value === null ? null : column.mapFromDriverValue(value)];
    });
    // The database is STRICT and each column decodes to its own type.
    return Object.fromEntries(row) as RowOf<C>;
  });
}
