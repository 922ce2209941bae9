/** One line of a bench: a ratio or figure, and the budget it has to keep. */
export type BenchLine = {
  readonly what: string;
  readonly value: number;
  readonly unit: "×" | "MB" | "ms" | "s" | "rows/s" | "";
  /** `atLeast` and `atMost` are inclusive; null for a figure without a budget. */
  readonly budget: { readonly atLeast: number } | { readonly atMost: number } | null;
};

/** What one bench found. */
export type BenchResult = { readonly bench: string; readonly lines: readonly BenchLine[]; readonly notes: readonly string[] };

/** Whether a line keeps its budget; true when it has none. */
export function keepsBudget({ value, budget }: BenchLine): boolean {
  if (budget === null) return true;
  return "atLeast" in budget ? value >= budget.atLeast : value <= budget.atMost;
}

/** A table for people: one row for each line. */
export function tableOf({ bench, lines, notes }: BenchResult): string {
  const rows = lines.map((line) => [line.what, `${numberText(line.value)} ${line.unit}`, budgetText(line)] as const);
  const widths = [0, 1].map((column) => Math.max(0, ...rows.map((row) => (row[column] ?? "").length)));
  const body = rows.map(([what, value, budget]) =>
    `  ${what.padEnd(widths[0] ?? 0)}  ${value.padStart(widths[1] ?? 0)}  ${budget}`.trimEnd(),
  );
  return [bench, ...body, ...notes.map((note) => `  ${note}`), ""].join("\n");
}

function budgetText(line: BenchLine): string {
  if (line.budget === null) return "";
  const bound = "atLeast" in line.budget ? `≥ ${line.budget.atLeast}` : `≤ ${line.budget.atMost}`;
  return `${keepsBudget(line) ? "keeps" : "MISSES"} ${bound}`;
}

function numberText(value: number): string {
  return Math.abs(value) >= 100 ? Math.round(value).toLocaleString("en") : value.toFixed(2);
}
