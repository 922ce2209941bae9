import { z } from "@hono/zod-openapi";
import type { Context } from "hono";
import { PortolanError } from "../core/errors.ts";

const PAGE_LIMIT_MAX = 1_000;
const PAGE_LIMIT_DEFAULT = 100;
const CURSOR_CHARS_MAX = 2_000;

/** A decimal number in a query string. */
export function numberParam(range: { readonly min: number; readonly max: number }) {
  return z
    .string()
    .regex(/^\d{1,15}$/, `a whole number from ${range.min} to ${range.max}`)
    .transform(Number)
    .refine((value) => value >= range.min && value <= range.max, `a whole number from ${range.min} to ${range.max}`)
    .openapi({ type: "integer", minimum: range.min, maximum: range.max });
}

/** Query parameters of every list. */
export const pageQuery = {
  limit: numberParam({ min: 1, max: PAGE_LIMIT_MAX }).optional(),
  cursor: z
    .string()
    .min(1)
    .max(CURSOR_CHARS_MAX)
    .optional()
    .openapi({ description: "next_cursor of the page before; only with the same filter" }),
};

/** Body of every list. */
export function pageSchema<T extends z.ZodType>(item: T) {
  return z.object({ items: z.array(item).readonly(), next_cursor: z.string().nullable() });
}

/** What a handler asks a store for. */
export type PageRequest = { readonly limit: number; readonly after: string | undefined; readonly filterHash: string };

type Query = { readonly limit?: number | undefined; readonly cursor?: string | undefined };

/** Opens the cursor of a request. Throws `invalid` when it was damaged or belongs to another filter. */
export function openPage(path: string, query: Query & Readonly<Record<string, unknown>>): PageRequest {
  const { limit, cursor, ...filter } = query;
  const filterHash = hashText(JSON.stringify([path, Object.entries(filter).toSorted(([a], [b]) => compare(a, b))]));
  const request = { limit: limit ?? PAGE_LIMIT_DEFAULT, filterHash };
  if (cursor === undefined) return { ...request, after: undefined };
  const [hash, ...rest] = decodeText(cursor).split(":");
  if (hash !== filterHash) {
    throw new PortolanError("invalid", "this cursor was damaged or belongs to a list with another filter; begin again without a cursor");
  }
  return { ...request, after: rest.join(":") };
}

/** Closes a page: `next` is the store's own place, null on the last page. Sets the Link header. */
export function closePage<T>(c: Context, request: PageRequest, page: { readonly items: readonly T[]; readonly next: string | null }) {
  const nextCursor = page.next === null ? null : encodeText(`${request.filterHash}:${page.next}`);
  const link = (cursor: string | null, rel: string): string => {
    const url = new URL(c.req.url);
    url.searchParams.delete("cursor");
    if (cursor !== null) url.searchParams.set("cursor", cursor);
    return `<${url.pathname}${url.search}>; rel="${rel}"`;
  };
  c.header("Link", [link(null, "first"), ...(nextCursor === null ? [] : [link(nextCursor, "next")])].join(", "));
  return { items: page.items, next_cursor: nextCursor };
}

/** One page of a list that is wholly in memory, in the order of its keys. */
export function slicePage<T>(all: readonly T[], key: (item: T) => string, request: PageRequest): { items: T[]; next: string | null } {
  const { after, limit } = request;
  const rest = all.toSorted((a, b) => compare(key(a), key(b))).filter((item) => after === undefined || compare(key(item), after) > 0);
  const items = rest.slice(0, limit);
  const last = items.at(-1);
  return { items, next: rest.length > limit && last !== undefined ? key(last) : null };
}

function compare(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}

/** FNV-1a over 64 bits: binds a cursor to its filter; nothing secret depends on it. */
function hashText(text: string): string {
  let hash = 0xcbf2_9ce4_8422_2325n;
  for (const byte of new TextEncoder().encode(text)) hash = ((hash ^ BigInt(byte)) * 0x100_0000_01b3n) & 0xffff_ffff_ffff_ffffn;
  return hash.toString(36);
}

function encodeText(text: string): string {
  const bytes = new TextEncoder().encode(text);
  return btoa(String.fromCharCode(...bytes))
    .replaceAll("+", "-")
    .replaceAll("/", "_")
    .replaceAll("=", "");
}

function decodeText(text: string): string {
  try {
    const bytes = Uint8Array.from(atob(text.replaceAll("-", "+").replaceAll("_", "/")), (char) => char.charCodeAt(0));
    return new TextDecoder("utf-8", { fatal: true }).decode(bytes);
  } catch {
    return "";
  }
}
