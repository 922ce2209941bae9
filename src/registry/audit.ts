import { desc, lt } from "drizzle-orm";
import { PortolanError } from "../core/errors.ts";
import { type AuditEntry, type AuditHead, CHAIN_START, chainedHash } from "./audit-chain.ts";
import { type Query, type Read, build, readRows } from "./query.ts";
import { audit } from "./schema.ts";
import type { Store } from "./store.ts";
import { sha256Hex } from "./token.ts";
import type { TokenScope } from "./types.ts";

/** On whose behalf the registry is written, and what that writer knew. */
export type Writer = {
  /** For the audit log. */
  readonly actor: string;
  readonly tokenId: string | null;
  readonly requestId: string | null;
  readonly scope: TokenScope;
  /** The If-Match header: the write is refused as `stale` when the thing is another by now. Null: whatever it is. */
  readonly ifMatch: string | null;
};

/** Portolan itself: start-up, enrolment on this machine, tests. */
export const ITSELF: Writer = {
  actor: "portolan",
  tokenId: null,
  requestId: null,
  scope: { regions: null, groups: null },
  ifMatch: null,
};

/** What a change did to one thing. */
export type Done = {
  readonly kind: string;
  readonly verb: string;
  readonly key: string;
  readonly before: unknown;
  readonly after: unknown;
};

const COLUMNS = {
  seq: audit.seq,
  atMs: audit.atMs,
  actor: audit.actor,
  tokenId: audit.tokenId,
  requestId: audit.requestId,
  action: audit.action,
  kind: audit.kind,
  key: audit.key,
  before: audit.before,
  after: audit.after,
  hash: audit.hash,
};
/** A page stays far below what sqld sends in one response. */
const PAGE_ROWS_MAX = 200;
const SIDE_CHARS_MAX = 16_000;

/** The newest entry; read together with the version that guards a write. */
export const AUDIT_HEAD: Read<AuditHead> = {
  query: build.select({ seq: audit.seq, hash: audit.hash }).from(audit).orderBy(desc(audit.seq)).limit(1),
  parse: (result) => {
    const [seq, hash] = [result.rows[0]?.[0], result.rows[0]?.[1]];
    return typeof seq === "number" && typeof hash === "string" ? { seq, hash } : CHAIN_START;
  },
};

/** The statement that writes the entry after `head`. It fails on `audit.seq` when another was written meanwhile. */
export async function auditStatement(
  head: AuditHead,
  by: Writer,
  { done, nowMs }: { readonly done: Done; readonly nowMs: number },
): Promise<Query> {
  const entry = {
    seq: head.seq + 1,
    atMs: nowMs,
    actor: by.actor,
    tokenId: by.tokenId,
    requestId: by.requestId,
    action: `${done.kind}.${done.verb}`,
    kind: done.kind,
    key: done.key,
    before: await sideText(done.before),
    after: await sideText(done.after),
  };
  const row = { ...entry, hash: await chainedHash(head, entry) };
  return { toSQL: () => build.insert(audit).values(row).toSQL() };
}

/** Whether a write failed because somebody else wrote an entry meanwhile. */
export function isAuditRace(error: unknown): boolean {
  return error instanceof Error && error.message.includes("audit.seq");
}

/** Entries, the newest first, below `before` (null: from the newest on); at most 200. */
export async function readAudit(store: Store, input: { readonly before: number | null; readonly limit: number }): Promise<AuditEntry[]> {
  const rows = readRows(COLUMNS, {
    from: audit,
    ...(input.before === null ? {} : { where: lt(audit.seq, input.before) }),
    orderBy: [audit.seq],
    descending: true,
    limit: Math.min(input.limit, PAGE_ROWS_MAX),
  });
  const [entries] = await store.read(rows);
  return entries;
}

/** Large things are told apart by their hash. */
async function sideText(side: unknown): Promise<string | null> {
  if (side === null || side === undefined) return null;
  const text = JSON.stringify(side);
  if (text.length <= SIDE_CHARS_MAX) return text;
  return JSON.stringify({ clipped: true, characters: text.length, sha256: await sha256Hex(text), begins: text.slice(0, 2_000) });
}

/** Throws `forbidden` unless this writer may change things of these regions and scanner groups; null: it concerns everybody. */
export function checkScope(
  { actor, scope }: Pick<Writer, "actor" | "scope">,
  touched: { readonly regions: readonly string[]; readonly group: string | null } | null,
): void {
  if (scope.regions === null && scope.groups === null) return;
  const outside = (what: string): never => {
    throw new PortolanError("forbidden", `token "${actor}" may not change ${what}; use a token with a wider scope`);
  };
  if (touched === null) return outside("what concerns every region and group");
  const region = scope.regions === null ? undefined : touched.regions.find((name) => scope.regions?.includes(name) !== true);
  if (region !== undefined) outside(`things of region "${region}"`);
  if (scope.regions !== null && touched.regions.length === 0) outside("what concerns every region");
  if (scope.groups === null) return;
  if (touched.group === null) outside("what concerns every scanner group");
  if (touched.group !== null && !scope.groups.includes(touched.group)) outside(`things of scanner group "${touched.group}"`);
}
