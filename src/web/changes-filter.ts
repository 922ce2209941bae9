import type { ChangeKind } from "../ledger/types.ts";

/** Kinds of change that people ask for together; `kinds` null is all of them. */
export type ChangeGroup = { readonly name: string; readonly label: string; readonly kinds: readonly ChangeKind[] | null };

const ALL: ChangeGroup = { name: "", label: "all", kinds: null };
export const CHANGE_GROUPS: readonly ChangeGroup[] = [
  ALL,
  { name: "new", label: "new ports", kinds: ["first-observed", "opened", "reopened"] },
  { name: "closed", label: "closed", kinds: ["closed"] },
  { name: "missing", label: "missing and back", kinds: ["missing", "seen-again"] },
  { name: "alerts", label: "known-good closed, tiles held", kinds: ["known-good-closed", "job-held"] },
  { name: "unmonitored", label: "unmonitored", kinds: ["unmonitored"] },
];

/** The filter of the changes page. */
export type ChangesFilter = { readonly group: ChangeGroup; readonly cursor: string | null };

/** Never throws: an unknown group is all, and what is no place of the feed is its beginning. */
export function parseChangesFilter(query: Readonly<Record<string, string | undefined>>): ChangesFilter {
  const cursor = query["cursor"] ?? "";
  return {
    group: CHANGE_GROUPS.find((group) => group.name === query["show"]) ?? ALL,
    cursor: /^\d{1,15}$/.test(cursor) ? cursor : null,
  };
}
