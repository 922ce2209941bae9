/** One change of the product's text. `file` is a source file, or a migration of the ledger. */
export type Edit = { readonly file: string; readonly from: string; readonly to: string };

/** A mistake in the product that the simulation has to find. Where one rule guards another, both are broken. */
export type Mutant = {
  readonly name: string;
  readonly edits: readonly Edit[];
  /** It cannot show under the weakest policy. */ readonly needsConfirm?: true;
};

const OUTCOME = "src/core/masscan/outcome.ts";
const DEFERRED = "src/ledger/deferred-tile.ts";
const WORK = "src/ledger/work.ts";
const REPORT = "src/ledger/project-report.ts";
const SETTLE = "src/ledger/settle.ts";

function condition(name: string, ...edits: readonly (readonly [from: string, to: string])[]): Mutant {
  return { name, edits: edits.map(([from, to]) => ({ file: OUTCOME, from, to })) };
}

export const MUTANTS: readonly Mutant[] = [
  condition("completeness-ignored", ["if (first === undefined) return", "if (reasons.length >= 0 || first === undefined) return"]),
  condition("canaries-ignored", ["answered * 2 > asked", "answered >= 0"]),
  condition("early-end-ignored", ["[evidence.reachedWaiting,", "[true,"], ["[!evidence.savedResume,", "[true,"]),
  condition("wait-ignored", ["evidence.waitedS >= task.waitS - WAIT_TOLERANCE_S", "task.waitS >= 0"]),
  condition("refused-lines-ignored", ["evidence.linesRefused === 0", "evidence.linesRefused >= 0"]),
  condition("cut-line-ignored", ["[evidence.lastLineWhole,", "[true,"]),
  condition("drops-ignored", ["evidence.interfaceDrops <= dropsMax", "evidence.interfaceDrops >= 0"]),
  condition("error-lines-ignored", ["evidence.errorLines.length === 0", "evidence.errorLines.length >= 0"]),
  condition("offloads-ignored", ["evidence.offloadsOn.length === 0", "evidence.offloadsOn.length >= 0"]),
  condition("connect-errors-ignored", ["evidence.errors === 0", "evidence.errors >= 0"], ["answered === pairs", "answered <= pairs"]),
  {
    name: "effective-configuration-ignored",
    edits: [
      { file: OUTCOME, from: "[effective.rateLimitPps === task.rateLimitPps,", to: "[effective.rateLimitPps > 0," },
      { file: OUTCOME, from: "[effective.seed === task.seed,", to: "[effective.seed !== '0'," },
    ],
  },
  {
    name: "partial-reports-count",
    edits: [
      { file: REPORT, from: 'outcome.kind === "complete" ? 1 : 0', to: "1" },
      { file: "src/core/verdict/coverage.ts", from: '|| outcome.kind !== "complete"', to: "" },
    ],
  },
  {
    name: "frontier-ignored",
    edits: [{ file: DEFERRED, from: "g.last_rseq > coalesce(", to: "g.last_rseq > 1000 + coalesce(" }],
  },
  {
    name: "frontier-too-high",
    edits: [
      {
        file: "scanner-daemon/keeper/schedule.ts",
        from: "const frontier = await deps.ledger.frontier();",
        to: "const frontier = above(await deps.ledger.frontier());",
      },
      {
        file: "scanner-daemon/keeper/schedule.ts",
        from: "function known(",
        to: "const above = (frontier: Record<string, number>) => Object.fromEntries(Object.entries(frontier).map(([log, upto]) => [log, upto + 4]));\nfunction known(",
      },
    ],
  },
  {
    name: "one-report-missing",
    edits: [
      { file: WORK, from: "t.shards_left = 0", to: "t.shards_left <= 1" },
      { file: WORK, from: "json_array_length(reports) = t.shards", to: "json_array_length(reports) between 1 and t.shards" },
      { file: SETTLE, from: "t.shards = tile_complete.shards)", to: "t.shards > 0)" },
    ],
  },
  {
    name: "parts-not-needed",
    edits: [
      { file: WORK, from: "k.id = p.part and k.kind = 'part'", to: "true" },
      { file: SETTLE, from: "k.id = p.part and k.kind = 'part'", to: "true" },
      { file: "scanner-daemon/scanner/send.ts", from: "if (waiting > 0) {", to: "if (waiting > 0 && end === null) {" },
    ],
  },
  { name: "dedup-dropped", edits: [{ file: "src/ledger/accept.ts", from: "if (seen.has(item.id)) continue;", to: "" }] },
  {
    name: "rseq-reused",
    edits: [
      { file: "src/ledger/accept.ts", from: 'numberOf(log, "rseq") + 1', to: 'numberOf(log, "rseq")' },
      { file: "src/ledger/project.ts", from: "insert into record(", to: "insert or replace into record(" },
    ],
  },
  {
    name: "durability-not-checked",
    edits: [{ file: "scanner-daemon/keeper/writer.ts", from: '(await deps.durability.check()) === "restored"', to: "false" }],
  },
  {
    name: "log-made-without-durability",
    edits: [
      { file: "scanner-daemon/keeper/keeper.ts", from: "await deps.durability.check();\n", to: "\n" },
      { file: "scanner-daemon/keeper/keeper.ts", from: 'if ((await deps.durability.check()) === "restored") await lease.renew();', to: "" },
      { file: "scanner-daemon/keeper/keeper.ts", from: "await lease.renew();", to: "" },
      { file: "scanner-daemon/keeper/keeper.ts", from: "active && term === lease.term()", to: "active" },
    ],
  },
  { name: "spool-not-synced", edits: [{ file: "scanner-daemon/scanner/spool.ts", from: "await handle.datasync();", to: "" }] },
  {
    name: "unfinished-run-called-complete",
    edits: [
      {
        file: "scanner-daemon/scanner/execute.ts",
        from: "const outcome = judge(null, run.start.assignment, sha256Hex);",
        to: 'const outcome = { kind: "complete" as const };',
      },
      {
        file: "scanner-daemon/keeper/check.ts",
        from: 'own.kind === "complete" ? report.outcome : own',
        to: 'own.kind === "complete" ? own : report.outcome',
      },
    ],
  },
  { name: "held-tiles-count", edits: [{ file: REPORT, from: "unhex(?1)), 0, 5) where true", to: "unhex(?1)), 0, 0) where true" }] },
  { name: "brake-never-holds", edits: [{ file: "src/core/verdict/brake.ts", from: "missed >= MISSED_MIN &&", to: "missed > 1e9 &&" }] },
  {
    name: "next-job-never-agrees",
    edits: [
      {
        file: "scanner-daemon/keeper/brake.ts",
        from: "return part * 100 >= whole * AGREED_PERCENT_MIN",
        to: "return part < 0 && whole < 0",
      },
    ],
  },
  {
    name: "confirms-not-needed",
    needsConfirm: true,
    edits: [
      { file: "migrations/ledger/0000_facts.sql", from: "WHEN m.confirm = 0 THEN m.enough", to: "WHEN true THEN m.enough" },
      { file: "src/core/verdict/fold.ts", from: "return !confirm || isConfirmed(", to: "return !confirm || true || isConfirmed(" },
    ],
  },
  {
    name: "confirms-take-one-connect",
    needsConfirm: true,
    edits: [
      { file: "scanner-daemon/scanner/look-connect.ts", from: "const ROUNDS = 3;", to: "const ROUNDS = 1;" },
      {
        file: "scanner-daemon/keeper/check-probe.ts",
        from: "connects >= CONNECTS_MIN && endedAtMs - startedAtMs >= SPAN_MS",
        to: "connects >= 1",
      },
    ],
  },
  {
    name: "confirms-are-not-ordered",
    needsConfirm: true,
    edits: [{ file: "scanner-daemon/keeper/confirms.ts", from: "if (due.length === 0) {", to: "if (due.length >= 0) {" }],
  },
  {
    name: "nothing-is-closed",
    edits: [{ file: DEFERRED, from: "where c.id = unhex(?3) and c.done = 1", to: "where c.id = unhex(?3) and c.done = 9" }],
  },
];
