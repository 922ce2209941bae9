import type { SourceMutant } from "./hooks.ts";

/** A mistake in the product that the simulation has to find: in a source file, or in the ledger's SQL. */
export type Mutant = { readonly name: string } & (
  | ({ readonly kind: "source" } & SourceMutant)
  | { readonly kind: "sql"; readonly from: string; readonly to: string }
);

const OUTCOME = "src/core/masscan/outcome.ts";

export const MUTANTS: readonly Mutant[] = [
  {
    name: "completeness-ignored",
    kind: "source",
    file: OUTCOME,
    from: 'if (first === undefined) return { kind: "complete" };',
    to: 'if (first === undefined || first.startsWith("m")) return { kind: "complete" };',
  },
  {
    name: "partial-reports-count",
    kind: "sql",
    from: "?7, ?8, ?9, ?10) on conflict do nothing",
    to: "?7, 1, ?9, ?10) on conflict do nothing",
  },
  { name: "canaries-ignored", kind: "source", file: OUTCOME, from: "answered * 2 > asked", to: "answered >= 0" },
  { name: "wait-ignored", kind: "source", file: OUTCOME, from: "evidence.waitedS >= task.waitS", to: "evidence.waitedS >= -task.waitS" },
  { name: "refused-lines-ignored", kind: "source", file: OUTCOME, from: "evidence.linesRefused === 0", to: "evidence.linesRefused >= 0" },
  { name: "cut-line-ignored", kind: "source", file: OUTCOME, from: "[evidence.lastLineWhole,", to: "[true," },
  { name: "silent-end-ignored", kind: "source", file: OUTCOME, from: "[evidence.reachedWaiting,", to: "[true," },
  { name: "drops-ignored", kind: "source", file: OUTCOME, from: "evidence.interfaceDrops <= dropsMax", to: "evidence.interfaceDrops >= 0" },
  {
    name: "connect-errors-ignored",
    kind: "source",
    file: OUTCOME,
    from: "[evidence.errors === 0,",
    to: "[evidence.errors >= 0 || answered < 0,",
  },
  { name: "frontier-ignored", kind: "sql", from: "g.last_rseq > coalesce(", to: "g.last_rseq > 1000 + coalesce(" },
  {
    name: "frontier-taken-late",
    kind: "sql",
    from: "select l.n, value->>1 from json_each(?2) cross join log l",
    to: "select l.n, value->>1 + 3 from json_each(?2) cross join log l",
  },
  { name: "one-report-missing", kind: "sql", from: "t.shards_left = 0", to: "t.shards_left <= 1" },
  { name: "dedup-dropped", kind: "source", file: "src/ledger/accept.ts", from: "if (seen.has(item.id)) continue;", to: "" },
  { name: "rseq-reused", kind: "sql", from: "insert into record(", to: "insert or replace into record(" },
  {
    name: "receipt-before-durable",
    kind: "source",
    file: "scanner-daemon/keeper/writer.ts",
    from: '=== "restored") await lease.renew();',
    to: '=== "restored") await Promise.resolve();',
  },
  {
    name: "spool-not-synced",
    kind: "source",
    file: "scanner-daemon/scanner/spool.ts",
    from: "await handle.datasync();",
    to: "",
  },
  {
    name: "run-continued-after-crash",
    kind: "source",
    file: "scanner-daemon/scanner/execute.ts",
    from: "const outcome = judge(null, run.start.assignment, sha256Hex);",
    to: 'const outcome = { kind: "complete" as const };',
  },
];
