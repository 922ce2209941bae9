import { z } from "zod";
import { PortolanError } from "../../core/errors.ts";

const CALL_TIMEOUT_MS = 15_000;
const PAGE_LIMIT = 1_000;
const PAGES_MAX = 1_000;
const BUSY_TRIES_MAX = 20;
const BUSY_PAUSE_MS = 500;

const jobSchema = z.object({
  id: z.string(),
  state: z.enum(["running", "complete", "incomplete"]),
  why: z.string().nullable(),
  tiles: z.object({ total: z.number(), complete: z.number(), abandoned: z.number() }),
});
export type DemoJob = z.infer<typeof jobSchema>;

const tileSchema = z.object({ tile: z.number(), state: z.enum(["open", "complete", "abandoned"]) });
export type DemoTile = z.infer<typeof tileSchema>;

const shardSchema = z.object({
  tile: z.number(),
  shard: z.number(),
  scanner: z.string(),
  region: z.string(),
  attempt: z.number(),
  state: z.string(),
  percent: z.number().nullable(),
  ratePps: z.number().nullable(),
  found: z.number().nullable(),
  problem: z.string().nullable(),
});
export type DemoShard = z.infer<typeof shardSchema>;

const serviceSchema = z.looseObject({
  address: z.string(),
  protocol: z.string(),
  port: z.number(),
  state: z.enum(["open", "missing", "closed"]),
  reopened: z.boolean(),
});
export type DemoService = z.infer<typeof serviceSchema>;

const scannerSchema = z.object({
  name: z.string(),
  region: z.string(),
  live: z.object({ engines: z.array(z.string()), notReady: z.string().nullable() }).nullable(),
});
export type DemoScanner = z.infer<typeof scannerSchema>;

const changeSchema = z.object({
  address: z.string().nullable(),
  port: z.number().nullable(),
  cause: z.object({ kind: z.string(), id: z.string().nullable() }),
});
export type DemoChange = z.infer<typeof changeSchema>;

/** Of a caller that has to know which region answered, and nothing older than the question. */
export type ApiOptions = {
  /** An answer that another region gave instead counts as none. */
  readonly region?: string;
  /** Answers pass by the response cache. */
  readonly fresh?: boolean;
};

/** The product's own HTTP API, as any user calls it. */
export type Api = {
  readonly post: (path: string, body: unknown) => Promise<unknown>;
  readonly scanners: () => Promise<DemoScanner[]>;
  readonly startJob: (plan: string) => Promise<string>;
  readonly cancelJob: (id: string, reason: string) => Promise<void>;
  readonly job: (id: string) => Promise<DemoJob>;
  readonly tiles: (id: string) => Promise<DemoTile[]>;
  readonly shards: (id: string) => Promise<DemoShard[]>;
  /** Every service in every state, page by page. */
  readonly services: () => Promise<DemoService[]>;
  /** Up to 1,000 changes after a cursor, oldest first, and the cursor behind them. */
  readonly changes: (cursor: string | null) => Promise<{ readonly items: readonly DemoChange[]; readonly next: string | null }>;
};

type Call = (method: string, path: string, body?: unknown) => Promise<unknown>;

function caller(url: string, token: string, { region, fresh }: ApiOptions): Call {
  const headers = {
    authorization: `Bearer ${token}`,
    "content-type": "application/json",
    ...(fresh === true ? { "cache-control": "no-cache" } : {}),
  };
  const once = async (method: string, path: string, body: unknown): Promise<Response> =>
    fetch(`${url}${path}`, {
      method,
      headers,
      signal: AbortSignal.timeout(CALL_TIMEOUT_MS),
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    });
  return async (method, path, body) => {
    for (let tries = 1; ; tries += 1) {
      const response = await once(method, path, body);
      const text = await response.text();
      const by = response.headers.get("x-portolan-region") ?? region;
      const isElsewhere = method === "GET" && region !== undefined && by !== region;
      if (response.ok && !isElsewhere) return JSON.parse(text) as unknown;
      // 503: a part of the region is not ready yet. Every write can be repeated.
      if ((response.status !== 503 && !isElsewhere) || tries === BUSY_TRIES_MAX) {
        const code = response.status === 404 ? "not-found" : "unavailable";
        const instead = isElsewhere ? ` by region ${by} instead of ${region}` : "";
        throw new PortolanError(code, `${method} ${path} was answered ${response.status}${instead}: ${text.slice(0, 600)}`);
      }
      await new Promise((resolve) => setTimeout(resolve, BUSY_PAUSE_MS));
    }
  };
}

/** Opens the API at this address with this token. Calls throw `not-found` or `unavailable` with the API's own words. */
export function openApi(url: string, token: string, options: ApiOptions = {}): Api {
  const call = caller(url, token, options);
  const all = async <Item>(path: string, schema: z.ZodType<Item>): Promise<Item[]> => {
    const pageSchema = z.object({ items: z.array(schema), next_cursor: z.string().nullable() });
    const items: Item[] = [];
    let cursor: string | null = null;
    for (let pages = 0; pages < PAGES_MAX; pages += 1) {
      const from: string = cursor === null ? "" : `&cursor=${encodeURIComponent(cursor)}`;
      const page = pageSchema.parse(await call("GET", `${path}${path.includes("?") ? "&" : "?"}limit=${PAGE_LIMIT}${from}`));
      items.push(...page.items);
      cursor = page.next_cursor;
      if (cursor === null) return items;
    }
    throw new PortolanError("too-large", `GET ${path} has over ${PAGES_MAX} pages`);
  };
  return {
    post: (path, body) => call("POST", path, body),
    scanners: () => all("/v1/scanners", scannerSchema),
    startJob: async (plan) => z.object({ job: z.string() }).parse(await call("POST", `/v1/plans/${plan}/jobs`, {})).job,
    cancelJob: async (id, reason) => void (await call("POST", `/v1/jobs/${id}/cancel`, { reason })),
    job: async (id) => jobSchema.parse(await call("GET", `/v1/jobs/${id}`)),
    tiles: (id) => all(`/v1/jobs/${id}/tiles`, tileSchema),
    shards: (id) => all(`/v1/jobs/${id}/shards`, shardSchema),
    services: () => all("/v1/services?state=all&known=show", serviceSchema),
    changes: async (cursor) => {
      const from = cursor === null ? "" : `&cursor=${encodeURIComponent(cursor)}`;
      const page = await call("GET", `/v1/changes?order=oldest&limit=${PAGE_LIMIT}${from}`);
      const { items, next_cursor: next } = z.object({ items: z.array(changeSchema), next_cursor: z.string().nullable() }).parse(page);
      return { items, next };
    },
  };
}
