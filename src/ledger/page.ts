import { PortolanError } from "../core/errors.ts";
import type { Page } from "./types.ts";

const LIMIT_DEFAULT = 100;
const LIMIT_MAX = 1_000;

/** The page size asked for, 1 … 1,000; throws `invalid` beyond. */
export function limitOf(limit: number | undefined): number {
  if (limit === undefined) return LIMIT_DEFAULT;
  if (Number.isInteger(limit) && limit >= 1 && limit <= LIMIT_MAX) return limit;
  throw new PortolanError("invalid", `limit ${limit} is not a whole number from 1 to ${LIMIT_MAX}`);
}

/** A page from one row more than its size. */
export function page<T>(rows: T[], limit: number, cursorOf: (last: T) => string): Page<T> {
  const items = rows.slice(0, limit);
  const last = items.at(-1);
  return { items, next: rows.length > limit && last !== undefined ? cursorOf(last) : null };
}

/** A cursor that is one number. */
export function numberedCursor(cursor: string): number {
  if (/^\d{1,15}$/.test(cursor)) return Number(cursor);
  throw badCursor();
}

/** A cursor of two numbers or of a number and an id: `12.34`, `12.ab…`. */
export function pairCursor(cursor: string): [number, string] {
  const match = /^(\d{1,15})\.([0-9a-f]{1,64})$/.exec(cursor);
  if (match === null) throw badCursor();
  return [Number(match[1]), match[2] ?? ""];
}

function badCursor(): PortolanError {
  return new PortolanError("invalid", "the cursor is not one that this list gave; start again without it");
}
