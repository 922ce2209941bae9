import { OpenAPIHono } from "@hono/zod-openapi";
import { PortolanError } from "../core/errors.ts";
import type { LedgerReader } from "../ledger/types.ts";
import type { Registry } from "../registry/registry.ts";
import type { TokenInfo } from "../registry/types.ts";
import { InvalidRequest } from "./problem.ts";
import type { RateLimits } from "./rate-limit.ts";

/** What the API answers from. */
export type ApiDeps = {
  readonly registry: Registry;
  readonly ledger: LedgerReader;
  /** Milliseconds of the Unix epoch. */
  readonly clock: () => number;
  /** Of the program, for `/version`. */
  readonly version: string;
  /** The region whose ledger this is. */
  readonly region: string;
  /** Scripts of the old program without a credential are let in from the address of a registered scanner. */
  readonly legacyFromScanners?: boolean;
  /** Webhooks may go to this machine itself, unencrypted. */
  readonly isLab?: boolean;
  /** Left out: the usual ones. */
  readonly limits?: RateLimits;
  /** Told of bugs (answers with 500), for the log. */
  readonly onBug?: (error: unknown, requestId: string) => void;
};

/** What middleware leaves for handlers. */
export type ApiEnv = { Variables: { requestId: string; token: TokenInfo } };

/** A sub-app of at most ten routes (longer chains make type checking slow); what its schemas refuse becomes one problem. */
export function newApi(): OpenAPIHono<ApiEnv> {
  return new OpenAPIHono<ApiEnv>({
    defaultHook: (result) => {
      if (!result.success) throw new InvalidRequest(result.error.issues);
    },
  });
}

/** Finds a named thing or throws `not-found` with the path that lists what there is. */
export function found<T>(thing: T | undefined | null, what: string, name: string, listPath: string): T {
  if (thing === undefined || thing === null)
    throw new PortolanError("not-found", `there is no ${what} "${name}"; GET ${listPath} lists what there is`);
  return thing;
}
