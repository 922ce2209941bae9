import type { Context } from "hono";
import { HTTPException } from "hono/http-exception";
import type { ContentfulStatusCode } from "hono/utils/http-status";
import { type ErrorCode, PortolanError } from "../core/errors.ts";

/** One thing wrong with a request: a JSON pointer into the body, or the name of a parameter. */
export type ProblemIssue = { readonly pointer: string; readonly detail: string };

/** RFC 9457 body of every answer with a status of 400 or above. */
export type Problem = {
  readonly type: string;
  readonly title: string;
  readonly status: number;
  readonly detail: string;
  readonly code: ErrorCode;
  readonly request_id: string;
  readonly errors?: readonly ProblemIssue[];
};

type Kind = { readonly status: ContentfulStatusCode; readonly title: string };

/** The one place where kinds of refusal become HTTP statuses. */
const KINDS: Readonly<Record<ErrorCode, Kind>> = {
  invalid: { status: 400, title: "The request is wrong" },
  unauthenticated: { status: 401, title: "A valid token is needed" },
  forbidden: { status: 403, title: "This token may not do that" },
  "not-found": { status: 404, title: "There is no such thing" },
  conflict: { status: 409, title: "This conflicts with what is there" },
  "precondition-required": { status: 428, title: "Say which version you mean" },
  stale: { status: 412, title: "It was changed meanwhile" },
  mismatch: { status: 422, title: "This key belongs to another request" },
  "rate-limited": { status: 429, title: "Too many requests" },
  "too-large": { status: 413, title: "The request is too large" },
  unavailable: { status: 503, title: "A part that is needed does not answer" },
  internal: { status: 500, title: "A bug" },
};

const RETRY_AFTER_S = 2;
const ISSUES_MAX = 20;

type Issue = { readonly path: readonly PropertyKey[]; readonly message: string };

/** A request that its schema refused. */
export class InvalidRequest extends PortolanError {
  readonly issues: readonly ProblemIssue[];

  constructor(issues: readonly Issue[]) {
    const shown = issues
      .slice(0, ISSUES_MAX)
      .map(({ path, message }) => ({ pointer: `/${path.map((step) => String(step)).join("/")}`, detail: message }));
    const first = shown[0];
    const place = first === undefined || first.pointer === "/" ? "the request" : first.pointer.slice(1);
    super("invalid", `${place}: ${first?.detail ?? "wrong"}; correct it as /openapi.json says`);
    this.name = "InvalidRequest";
    this.issues = shown;
  }
}

/** A body of a kind that the route does not take: 415. */
export class UnsupportedType extends PortolanError {
  constructor(message: string) {
    super("invalid", message);
    this.name = "UnsupportedType";
  }
}

/** Answers with the problem that `error` is; whatever is not known here is a bug and shows none of its inside. */
export function problemResponse(c: Context, error: unknown, requestId: string): Response {
  const known = toPortolanError(error);
  const kind = known instanceof UnsupportedType ? { ...KINDS.invalid, status: 415 as const } : KINDS[known.code];
  const problem: Problem = {
    type: `urn:portolan:problem:${known.code}`,
    title: kind.title,
    status: kind.status,
    detail: known.message,
    code: known.code,
    request_id: requestId,
    ...(known instanceof InvalidRequest ? { errors: known.issues } : {}),
  };
  const headers: Record<string, string> = { "content-type": "application/problem+json", "cache-control": "no-store" };
  if (known.code === "unavailable") headers["retry-after"] = String(RETRY_AFTER_S);
  if (known.code === "unauthenticated") headers["www-authenticate"] = 'Bearer realm="portolan"';
  return c.body(JSON.stringify(problem), kind.status, headers);
}

/** Whether this error is a bug of ours rather than a refusal. */
export function isBug(error: unknown): boolean {
  return toPortolanError(error).code === "internal";
}

function toPortolanError(error: unknown): PortolanError {
  if (error instanceof PortolanError && error.code !== "internal") return error;
  if (error instanceof HTTPException && error.status === 413)
    return new PortolanError("too-large", "the body is larger than this route takes; send it in smaller pieces");
  if (error instanceof HTTPException && error.status < 500) {
    return new PortolanError("invalid", `${error.message || "the request cannot be read"}; send JSON with content-type application/json`);
  }
  return new PortolanError("internal", "the server met a bug of its own; report it with this request id, its log has the details");
}
