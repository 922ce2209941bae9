import type { ContentfulStatusCode } from "hono/utils/http-status";
import type { ErrorCode } from "../core/errors.ts";

/** HTTP statuses of pages that refuse something. */
export const STATUS: Readonly<Record<ErrorCode, ContentfulStatusCode>> = {
  invalid: 400,
  unauthenticated: 401,
  forbidden: 403,
  "not-found": 404,
  conflict: 409,
  "precondition-required": 428,
  stale: 412,
  mismatch: 422,
  "rate-limited": 429,
  "too-large": 413,
  unavailable: 503,
  internal: 500,
};
