import { isAllowed, ROUTE_ROLES } from "../../src/api/roles.ts";

/** What the stores hold, as the tests know it. Plain data: it crosses into workerd. */
export type Known = {
  readonly tokens: { readonly viewer: string; readonly operator: string; readonly admin: string };
  readonly endedJob: string;
  readonly runningJob: string;
  /** The job that every start of a plan is answered with. */
  readonly commandJob: string;
};

export type Role = keyof Known["tokens"];
export type AskOptions = { role?: Role | null; method?: string; body?: unknown; headers?: Record<string, string> };

/** One runtime that serves region `eu` (and `us` behind it). */
export type Subject = {
  readonly known: Known;
  /** Redirects are not followed. */
  fetch(path: string, init?: RequestInit): Promise<Response>;
};

/** A subject with short words. */
export type Asker = Subject & { ask(path: string, options?: AskOptions): Promise<Response> };

export type Traits = {
  /** Unique among the runtimes that share stores. */
  readonly name: string;
  /** Assets are the platform's in workerd, not the worker's. */
  readonly servesStatic: boolean;
};

/** `METHOD /path` of every route that needs a token, with the least role. */
export const GUARDED: readonly (readonly [string, Role])[] = Object.entries(ROUTE_ROLES).flatMap(([route, needed]) => {
  const least = (["viewer", "operator", "admin"] as const).find((role) => isAllowed(role, needed));
  return needed === "public" || least === undefined ? [] : [[route, least] as const];
});
