import { z } from "zod";
import { type DeniedPairs, mergeDenied } from "../core/denied.ts";
import { type Database, numberOf, optionalTextOf, type SqlRow, textOf } from "./database.ts";
import { limitOf, page, pairCursor } from "./page.ts";
import type { Page } from "./types.ts";

/** One deny as its records tell it. Times in milliseconds of the Unix epoch. */
export type DenyRow = {
  /** Record id. */
  readonly id: string;
  readonly ranges: readonly string[];
  /** Null: every port. */
  readonly ports: string | null;
  readonly reason: string;
  readonly by: string;
  readonly atMs: number;
  /** Exclusive; null: until it is lifted. */
  readonly expiresAtMs: number | null;
  /** Who ended it first; null when nobody did. */
  readonly lifted: { readonly by: string; readonly reason: string; readonly atMs: number } | null;
};

export type DenyQuery = { readonly only: "in-force" | "all"; readonly nowMs: number; readonly limit?: number; readonly cursor?: string };

/** Everything that is denied at one moment. `version` is the same as long as the same denies hold. */
export type Denied = { readonly version: string; readonly pairs: readonly DeniedPairs[] };

const COLUMNS = `lower(hex(d.id)) as id, d.ranges, d.ports, d.reason, d.said_by, d.expires_at_ms, d.at_ms,
  (select json_array(l.said_by, l.reason, l.at_ms) from deny_lift l where l.deny = d.id order by l.at_ms, l.rec limit 1) as lifted`;
const IN_FORCE = "(d.expires_at_ms is null or d.expires_at_ms > ?1) and not exists (select 1 from deny_lift l where l.deny = d.id)";

/** See `LedgerReader.listDenies`. */
export async function listDenies(database: Database, { only, nowMs, limit: wish, cursor }: DenyQuery): Promise<Page<DenyRow>> {
  const limit = limitOf(wish);
  const [atMs, id] = cursor === undefined ? [Number.MAX_SAFE_INTEGER, "ff".repeat(32)] : pairCursor(cursor);
  const where = only === "all" ? "?1 = ?1" : IN_FORCE;
  const [rows] = await database.batch(
    [
      {
        sql: `select ${COLUMNS} from deny d where ${where} and (d.at_ms, d.id) < (?2, unhex(?3)) order by d.at_ms desc, d.id desc limit ?4`,
        args: [nowMs, atMs, id, limit + 1],
      },
    ],
    "read",
  );
  return page((rows ?? []).map(rowOf), limit, (last) => `${last.atMs}.${last.id}`);
}

/** See `LedgerReader.deny`. */
export async function deny(database: Database, id: string): Promise<DenyRow | null> {
  const [rows] = await database.batch([{ sql: `select ${COLUMNS} from deny d where d.id = unhex(?1)`, args: [id] }], "read");
  const [row] = rows ?? [];
  return row === undefined ? null : rowOf(row);
}

// Asked in every round of a keeper, and seldom changed.
const merged = new WeakMap<Database, Denied>();

/** See `LedgerReader.denied`. */
export async function denied(database: Database, nowMs: number): Promise<Denied> {
  const [ids] = await database.batch(
    [
      {
        sql: `select group_concat(lower(hex(id))) as version from (select d.id from deny d where ${IN_FORCE} order by d.id)`,
        args: [nowMs],
      },
    ],
    "read",
  );
  const version = optionalTextOf(ids?.[0], "version") ?? "";
  const known = merged.get(database);
  if (known?.version === version) return known;
  const [rows] = await database.batch(
    [
      {
        sql: "select ranges, ports from deny where id in (select unhex(value) from json_each(?1))",
        args: [JSON.stringify(version === "" ? [] : version.split(","))],
      },
    ],
    "read",
  );
  const fresh = {
    version,
    pairs: mergeDenied((rows ?? []).map((row) => ({ ranges: rangesOf(row), ports: optionalTextOf(row, "ports") }))),
  };
  merged.set(database, fresh);
  return fresh;
}

const rangesSchema = z.array(z.string());
const liftSchema = z.tuple([z.string(), z.string(), z.number()]);

function rangesOf(row: SqlRow): string[] {
  return rangesSchema.parse(JSON.parse(textOf(row, "ranges")));
}

function rowOf(row: SqlRow): DenyRow {
  const lift = optionalTextOf(row, "lifted");
  const [by, reason, atMs] = lift === null ? ["", "", 0] : liftSchema.parse(JSON.parse(lift));
  return {
    id: textOf(row, "id"),
    ranges: rangesOf(row),
    ports: optionalTextOf(row, "ports"),
    reason: textOf(row, "reason"),
    by: textOf(row, "said_by"),
    atMs: numberOf(row, "at_ms"),
    expiresAtMs: row["expires_at_ms"] === null ? null : numberOf(row, "expires_at_ms"),
    lifted: lift === null ? null : { by, reason, atMs },
  };
}
