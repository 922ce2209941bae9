import { z } from "@hono/zod-openapi";
import { PortolanError } from "../core/errors.ts";
import type { AuditEntry } from "../registry/audit-chain.ts";
import { type ApiDeps, newApi } from "./context.ts";
import { createRoute, json } from "./define.ts";
import { closePage, openPage, pageQuery, pageSchema } from "./page.ts";

const entrySchema = z
  .object({
    seq: z.int().openapi({ description: "1, 2, 3 … without holes" }),
    atMs: z.int(),
    actor: z.string().openapi({ description: 'name of the token; "portolan" for the program itself' }),
    tokenId: z.string().nullable(),
    requestId: z.string().nullable(),
    action: z.string(),
    kind: z.string(),
    key: z.string(),
    before: z.string().nullable().openapi({ description: "JSON text; null: it was not there. What is very long is told by its hash" }),
    after: z.string().nullable(),
    hash: z.string().openapi({ description: "SHA-256 over this entry and the hash of the one before it" }),
  })
  .openapi("AuditEntry");

/** Entries in one answer: each may show a long list on both sides. */
const ENTRIES_MAX = 100;

const list = createRoute({
  method: "get",
  path: "/v1/audit",
  tags: ["audit"],
  request: { query: z.strictObject(pageQuery) },
  responses: { 200: json(pageSchema(entrySchema), "Who changed what in the registry, the newest first; at most 100 a page") },
});

/** The audit log of the registry. */
export function auditRoutes({ registry }: ApiDeps) {
  return newApi().openapi(list, async (c) => {
    const page = openPage(c.req.path, c.req.valid("query"));
    const before = page.after === undefined ? null : place(page.after);
    const limit = Math.min(page.limit, ENTRIES_MAX);
    const entries: AuditEntry[] = await registry.audit({ before, limit });
    const last = entries.at(-1);
    const next = last === undefined || last.seq === 1 || entries.length < limit ? null : String(last.seq);
    return c.json(closePage(c, page, { items: entries, next }), 200);
  });
}

function place(text: string): number {
  if (/^\d{1,15}$/.test(text)) return Number(text);
  throw new PortolanError("invalid", "this cursor was damaged; begin again without a cursor");
}
