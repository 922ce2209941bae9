import { PortolanError } from "../core/errors.ts";
import type { Writer } from "./audit.ts";
import type { BulkEntries, BulkEntry } from "./bulk/entries.ts";
import { ruleKey } from "./bulk/entries.ts";
import type { Refusal } from "./bulk/cells.ts";
import type { BulkList } from "./bulk/lists.ts";
import type { ChangeRegistry } from "./change.ts";
import type { Query } from "./query.ts";
import { keyOf, listOf, type ResourceKind, type Resources, resourceOf, withResource } from "./resources.ts";
import { type Change, LIMITS } from "./rules/change.ts";
import { addExclusion, changeExclusion, deleteExclusion } from "./rules/exclusions.ts";
import { addKnownGood, changeKnownGood, deleteKnownGood } from "./rules/known-good.ts";
import { addPlan, changePlan, deletePlan } from "./rules/plans.ts";
import { addRangeGroup, addRanges, deleteRangeGroup, setRanges } from "./rules/ranges.ts";
import { addGroup, addScanner, changeScanner, deleteGroup, deleteScanner, setMembers } from "./rules/scanners.ts";
import type { RegistryState } from "./types.ts";

/** A list from a file. `replace` also takes away what the file does not name (ranges: of the groups that it names). */
export type ImportRequest = {
  readonly list: BulkList;
  readonly file: BulkEntries;
  readonly mode: "add" | "replace";
  readonly isDryRun: boolean;
};

/** What an import does, or would do: keys of things. Nothing was written when a line is refused. */
export type ImportDiff = {
  readonly added: readonly string[];
  readonly changed: readonly string[];
  readonly removed: readonly string[];
  readonly unchanged: number;
  readonly refused: readonly Refusal[];
};
export type ImportResult = ImportDiff & { readonly written: boolean; readonly version: number };

const KINDS = {
  "range-groups": "range-group",
  exclusions: "exclusion",
  "known-good": "known-good",
  scanners: "scanner",
  groups: "group",
  plans: "plan",
} as const satisfies Record<BulkList, ResourceKind>;

const REFUSED_MAX = 1_000;
const KEYS_LOGGED_MAX = 200;

type Context = { readonly request: ImportRequest; readonly clock: () => number };

/** One guarded transaction for the whole list: each entry passes the same rules as if it came alone. */
export async function importList(change: ChangeRegistry, by: Writer, { request, clock }: Context): Promise<ImportResult> {
  let diff: ImportDiff = { added: [], changed: [], removed: [], unchanged: 0, refused: request.file.refused };
  const sides = (): { before: unknown; after: unknown } => ({
    before: { removed: diff.removed.slice(0, KEYS_LOGGED_MAX), removedTotal: diff.removed.length },
    after: {
      added: diff.added.slice(0, KEYS_LOGGED_MAX),
      addedTotal: diff.added.length,
      changed: diff.changed.slice(0, KEYS_LOGGED_MAX),
      changedTotal: diff.changed.length,
    },
  });
  const written = await change(by, { kind: "list", verb: "import", key: request.list, sides }, (now) => {
    const result = applyFile(now, request, clock());
    diff = result.diff;
    const holdsBack = request.isDryRun || diff.refused.length > 0;
    return { value: null, statements: holdsBack ? [] : result.statements };
  });
  return { ...diff, refused: diff.refused.slice(0, REFUSED_MAX), written: written.changed, version: written.version };
}

type Applied = { readonly diff: ImportDiff; readonly statements: readonly Query[] };

function applyFile(now: RegistryState, { list, file, mode }: ImportRequest, nowMs: number): Applied {
  const kind = KINDS[list];
  const run = createRun(now, file.refused);
  const named = new Set<string>();
  for (const entry of file.entries) {
    const line = entry.lines[0] ?? 0;
    const before = existing(run.state(), entry);
    if (before !== null) named.add(keyOf(before));
    run.attempt(line, kind, (state) => ({ before, change: applyEntry(state, { entry, before, mode, nowMs }) }));
  }
  if (mode === "replace") {
    // Plans, groups and scanners that others still name are refused by the same rules as ever.
    for (const gone of listOf(now, kind)) {
      if (named.has(keyOf(gone))) continue;
      run.attempt(0, kind, (state) => ({ before: gone, change: removal(state, kind, keyOf(gone)) }));
    }
  }
  return run.end();
}

function createRun(now: RegistryState, refusedBefore: readonly Refusal[]) {
  let state = now;
  const statements: Query[] = [];
  const refused: Refusal[] = [...refusedBefore];
  const [added, changed, removed]: [string[], string[], string[]] = [[], [], []];
  let unchanged = 0;
  type Step = { readonly before: Resources[ResourceKind] | null; readonly change: Change<Resources[ResourceKind] | null> };
  return {
    state: () => state,
    attempt: (line: number, kind: ResourceKind, step: (state: RegistryState) => Step): void => {
      try {
        const { before, change } = step(state);
        const key = before === null ? (change.value === null ? "" : keyOf(change.value)) : keyOf(before);
        if (change.statements.length === 0) {
          unchanged += 1;
          return;
        }
        (change.value === null ? removed : before === null ? added : changed).push(key);
        statements.push(...change.statements);
        state = withResource(state, kind, { key, value: change.value });
      } catch (error) {
        if (!(error instanceof PortolanError)) throw error;
        refused.push({ line, reason: error.message.slice(0, 500) });
      }
    },
    end: (): Applied => ({
      diff: { added, changed, removed, unchanged, refused: refused.toSorted((a, b) => a.line - b.line) },
      statements,
    }),
  };
}

function existing(state: RegistryState, entry: BulkEntry): Resources[ResourceKind] | null {
  if (entry.kind !== "exclusion" && entry.kind !== "known-good") return resourceOf(state, entry.kind, entry.key);
  return listOf(state, entry.kind).find((rule) => ruleKey(rule) === entry.key) ?? null;
}

type Wanted = {
  readonly entry: BulkEntry;
  readonly before: Resources[ResourceKind] | null;
  readonly mode: "add" | "replace";
  readonly nowMs: number;
};

function applyEntry(state: RegistryState, { entry, before, mode, nowMs }: Wanted): Change<Resources[ResourceKind]> {
  switch (entry.kind) {
    case "range-group":
      if (before === null) return addRangeGroup(state, { name: entry.key, ranges: entry.ranges, rangesMax: LIMITS.rangesTotal, nowMs });
      return (mode === "replace" ? setRanges : addRanges)(state, { group: entry.key, ranges: entry.ranges, rangesMax: LIMITS.rangesTotal });
    case "exclusion":
      if (before === null) return addExclusion(state, { id: entry.id, exclusion: entry.rule, nowMs });
      return changeExclusion(state, { id: keyOf(before), changes: entry.rule, nowMs });
    case "known-good":
      if (before === null) return addKnownGood(state, { id: entry.id, rule: entry.rule, nowMs });
      return changeKnownGood(state, { id: keyOf(before), changes: entry.rule, nowMs });
    case "scanner": {
      const { name, region, ...changes } = entry.input;
      if (before === null) return addScanner(state, { ...entry.input, nowMs });
      const known = before as Resources["scanner"];
      if (known.region !== region) {
        throw new PortolanError("conflict", `scanner "${name}" is in region "${known.region}", not in "${region}"; delete it there first`);
      }
      return changeScanner(state, { name, changes });
    }
    case "group":
      if (before === null) return addGroup(state, { name: entry.key, members: entry.members, nowMs });
      return setMembers(state, { group: entry.key, members: entry.members });
    case "plan": {
      if (before === null) return addPlan(state, entry.input, { id: crypto.randomUUID(), nowMs });
      const { name, ranges: _, ...changes } = entry.input;
      return changePlan(state, { name, changes, nowMs });
    }
  }
}

function removal(state: RegistryState, kind: ResourceKind, key: string): Change<null> {
  switch (kind) {
    case "range-group":
      return deleteRangeGroup(state, key);
    case "exclusion":
      return deleteExclusion(state, key);
    case "known-good":
      return deleteKnownGood(state, key);
    case "scanner":
      return deleteScanner(state, key);
    case "group":
      return deleteGroup(state, key);
    case "plan":
      return deletePlan(state, key);
    case "region":
    case "webhook":
      throw new PortolanError("internal", `things of kind ${kind} are not imported`);
  }
}
