import type { ErrorCode } from "../core/errors.ts";
import { EXIT } from "./io.ts";

/** How each kind of refusal ends the command. */
const OF_ERRORS: Readonly<Record<ErrorCode, number>> = {
  invalid: EXIT.usage,
  unauthenticated: EXIT.auth,
  forbidden: EXIT.auth,
  "not-found": EXIT.notFound,
  conflict: EXIT.usage,
  "precondition-required": EXIT.usage,
  stale: EXIT.usage,
  mismatch: EXIT.usage,
  "rate-limited": EXIT.unavailable,
  "too-large": EXIT.usage,
  unavailable: EXIT.unavailable,
  internal: EXIT.usage,
};

/** The exit code of a refusal. */
export function exitCodeOf(code: ErrorCode): number {
  return OF_ERRORS[code];
}

/** What each exit code means, for help and documents: the one list of them. */
const EXIT_MEANINGS: Readonly<Record<keyof typeof EXIT, string>> = {
  ok: "done; no difference",
  findings: "findings or differences: diff, doctor, --fail-on-findings, a certificate that does not hold",
  usage: "wrong usage, a refused request, or any other error",
  auth: "no token, or one that may not do this",
  notFound: "there is no such thing",
  unavailable: "something does not answer, or not in time: repeating is safe",
  partial: "done, but only partly covered: a job that ended incomplete",
  interrupted: "interrupted by Ctrl-C",
};

/** The list as the help shows it. */
export function exitCodeLines(): string[] {
  const names = Object.keys(EXIT) as (keyof typeof EXIT)[];
  return names.map((name) => `  ${String(EXIT[name]).padStart(3)}  ${EXIT_MEANINGS[name]}`);
}
