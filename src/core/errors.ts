/** Machine-readable kinds of refusal; each maps to one HTTP status and one CLI exit code. */
export type ErrorCode =
  | "invalid" // the request itself is wrong: 400, exit 2
  | "unauthenticated" // 401, exit 3
  | "forbidden" // 403, exit 3
  | "not-found" // 404, exit 4
  | "conflict" // 409, exit 2
  | "precondition-required" // a write that does not say which version it means: 428, exit 2
  | "stale" // it was changed meanwhile: 412, exit 2
  | "mismatch" // the same Idempotency-Key with another request: 422, exit 2
  | "rate-limited" // 429, exit 5
  | "too-large" // 413, exit 2
  | "unavailable" // a part that we need is down: 503, exit 5
  | "internal"; // a bug: 500, exit 2

/** A request that was refused, in words for the person who made it: names the thing and the remedy. */
export class PortolanError extends Error {
  readonly code: ErrorCode;

  constructor(code: ErrorCode, message: string, options?: { readonly cause?: unknown }) {
    super(message, options);
    this.name = "PortolanError";
    this.code = code;
  }
}
