/** Puts a mistake into SQL text; the identity for the product as it is. */
export type MutateSql = (sql: string) => string;

/** Looks for a mistake: says what came out wrong, or null when everything is as the rules want it. */
export type Killer = (mutate: MutateSql) => Promise<string | null>;

/** In words what a failure of the product says; throws on when the mistake is none that could be made, such as SQL that is not SQL. */
export function failureText(error: unknown): string {
  const text = error instanceof Error ? error.message : String(error);
  if (/syntax error|no such (?:column|table|function)|ambiguous|wrong number of arguments|parameter values/.test(text)) throw error;
  return text.split("\n")[0] ?? "";
}

/** A wrong result, in words. */
class Found extends Error {}

/** Throws `Found` unless the condition holds. */
export function must(holds: boolean, wrong: string): void {
  if (!holds) throw new Found(wrong);
}
