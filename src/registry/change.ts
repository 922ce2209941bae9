import { eq, sql } from "drizzle-orm";
import { PortolanError } from "../core/errors.ts";
import { AUDIT_HEAD, auditStatement, checkScope, type Done, isAuditRace, type Writer } from "./audit.ts";
import type { Query } from "./query.ts";
import { build } from "./query.ts";
import { belongsTo, keyOf, type ResourceKind, resourceOf, shownSides, tagMatches } from "./resources.ts";
import type { Change } from "./rules/change.ts";
import { meta } from "./schema.ts";
import { VERSION, loadState } from "./state.ts";
import type { Store } from "./store.ts";
import type { RegistryState } from "./types.ts";

/** What a write did: `changed` is false when everything already was as asked. */
export type Written<T> = { readonly value: T; readonly changed: boolean; readonly version: number };

/** What a write is about, for If-Match, scope and the audit log. `key` null: the value says it. */
export type Subject =
  | { readonly kind: ResourceKind; readonly verb: string; readonly key: string | null }
  /** Something that is no single thing of a list; `sides` says what the log shows. */
  | { readonly kind: "registry" | "list"; readonly verb: string; readonly key: string; readonly sides: (now: RegistryState) => Sides };

export type Sides = { readonly before: unknown; readonly after: unknown };

/** A guarded write: checks on the primary's state, accepted only if nothing else was written meanwhile, and logged in the same transaction. */
export type ChangeRegistry = <T>(by: Writer, subject: Subject, decide: (now: RegistryState) => Change<T>) => Promise<Written<T>>;

type States = {
  readonly primary: Store;
  /** The state at this version of the primary. */
  readonly current: (version: number) => Promise<RegistryState>;
  readonly wrote: (version: number) => void;
  readonly clock: () => number;
};

const ATTEMPTS_MAX = 10;

export function createChange({ primary, current, wrote, clock }: States): ChangeRegistry {
  return async (by, subject, decide) => {
    for (let attempt = 1; attempt <= ATTEMPTS_MAX; attempt++) {
      const [version, head] = await primary.read(VERSION, AUDIT_HEAD);
      const now = await current(version);
      const before =
        subject.kind === "registry" || subject.kind === "list" || subject.key === null ? null : resourceOf(now, subject.kind, subject.key);
      checkCurrent(by, { subject, before, version: now.version });
      const { value, statements } = decide(now);
      const done = doneBy(subject, { now, before, value });
      checkScope(by, touchedBy(done));
      if (statements.length === 0) return { value, changed: false, version: now.version };
      const entry = await auditStatement(head, by, { done: { ...done, ...shownSides(done.before, done.after) }, nowMs: clock() });
      try {
        await primary.write([guard(now.version), ...statements, entry]);
        wrote(now.version + 1);
        return { value, changed: true, version: now.version + 1 };
      } catch (error) {
        const isRace = isAuditRace(error) || (error instanceof Error && error.message.includes("meta.version"));
        if (!isRace) throw error;
      }
    }
    throw new PortolanError("unavailable", "the registry is being changed by others all the time; repeat in a moment");
  };
}

/** Reads the state of the primary's current version, from memory when it is known. */
export function currentState(
  store: Store,
  known: () => RegistryState | null,
  keep: (state: RegistryState) => void,
): (version: number) => Promise<RegistryState> {
  return async (version) => {
    const cached = known();
    if (cached?.version === version) return cached;
    const loaded = await loadState(store);
    keep(loaded);
    return loaded;
  };
}

/** The version column refuses null, so the whole transaction fails when somebody else wrote since that version was read. */
function guard(version: number): Query {
  const next = sql`case when ${meta.version} = ${version} then ${meta.version} + 1 end`;
  return build.update(meta).set({ version: next }).where(eq(meta.id, 1));
}

function checkCurrent(by: Writer, { subject, before, version }: { subject: Subject; before: unknown; version: number }): void {
  if (by.ifMatch === null) return;
  const isAbout = before !== null || subject.kind === "list";
  // What is not there is told as "not found" by the rule itself.
  if (!isAbout || tagMatches(by.ifMatch, before, version)) return;
  const what = subject.kind === "list" ? "the registry" : `${subject.kind} "${subject.key ?? ""}"`;
  throw new PortolanError(
    "stale",
    `${what} was changed since you read it; read it again, look at what is different, then repeat with its new ETag`,
  );
}

function doneBy(subject: Subject, { now, before, value }: { now: RegistryState; before: unknown; value: unknown }): Done {
  if (subject.kind === "registry" || subject.kind === "list") {
    return { kind: subject.kind, verb: subject.verb, key: subject.key, ...subject.sides(now) };
  }
  // Every rule gives the thing as it is afterwards, or null when it is gone.
  const after = value as Parameters<typeof keyOf>[0] | null;
  return { kind: subject.kind, verb: subject.verb, key: subject.key ?? (after === null ? "" : keyOf(after)), before, after };
}

/** Regions and group on both sides of a change; null as soon as one side concerns everybody. */
function touchedBy({ kind, before, after }: Done): ReturnType<typeof belongsTo> {
  const sides = [before, after].filter((side) => side !== null && side !== undefined).map((side) => belongsTo(kind, side));
  const [first] = sides;
  if (first === undefined || first === null || sides.includes(null)) return null;
  const other = sides[1] ?? first;
  // Moved from one group to another: both would have to be in scope, which no single name says.
  if (other.group !== first.group) return { regions: [], group: null };
  return { regions: [...new Set([...first.regions, ...other.regions])], group: first.group };
}
