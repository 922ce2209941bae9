import { type ErrorCode, PortolanError } from "../core/errors.ts";
import type { CommandKind } from "../ledger/types.ts";
import type { ApiDeps } from "./context.ts";

const WAIT_MS = 5_000;
const CODES: ReadonlySet<string> = new Set<ErrorCode>(["invalid", "not-found", "conflict", "too-large", "unavailable"]);

/** Leaves a command for the keeper and waits for what it committed. Throws its refusal, or `unavailable` after 5 s. */
export async function askKeeper(
  { ledger, clock, region }: Pick<ApiDeps, "ledger" | "clock" | "region">,
  kind: CommandKind,
  body: unknown,
): Promise<unknown> {
  // After the wait nobody stands by any more: the keeper then leaves it undone instead of surprising later.
  const id = await ledger.submitCommand(kind, body, { nowMs: clock(), ttlMs: WAIT_MS });
  const result = await ledger.awaitCommand(id, WAIT_MS);
  if (result === null) {
    throw new PortolanError(
      "unavailable",
      `the keeper of region "${region}" did not answer within ${WAIT_MS / 1_000} s; check that its daemon runs ("portolan scanner ls"), then repeat`,
    );
  }
  if (result.ok) return result.result;
  throw new PortolanError(isCode(result.code) ? result.code : "internal", result.message);
}

function isCode(code: string): code is ErrorCode {
  return CODES.has(code);
}
