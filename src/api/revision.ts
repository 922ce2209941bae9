import { z } from "zod";

const answerSchema = z.object({
  results: z.array(z.object({ response: z.object({ result: z.object({ replication_index: z.string().nullish() }) }) })).min(1),
});

/**
 * How many transactions a libSQL database has committed, as the server itself counts them: any write moves it. Null when the server
 * does not tell or does not answer in time; nothing may then be taken for unchanged.
 */
export async function databaseRevision(database: {
  readonly url: string;
  readonly authToken?: string | undefined;
  readonly timeoutMs: number;
}): Promise<string | null> {
  const url = new URL("/v2/pipeline", database.url.replace(/^libsql:/, "https:"));
  const headers = { "content-type": "application/json", ...(database.authToken === undefined ? {} : bearer(database.authToken)) };
  // `select 1` reads no table; the client library would drop the index from its answer.
  const body = JSON.stringify({ requests: [{ type: "execute", stmt: { sql: "select 1" } }] });
  try {
    const response = await fetch(url, { method: "POST", headers, body, signal: AbortSignal.timeout(database.timeoutMs) });
    const answer = answerSchema.safeParse(await response.json());
    return answer.success ? (answer.data.results[0]?.response.result.replication_index ?? null) : null;
  } catch {
    return null;
  }
}

function bearer(token: string): { readonly authorization: string } {
  return { authorization: `Bearer ${token}` };
}
