import { decodeSightingTable, encodeSightings, type Sighting } from "../core/columns.ts";
import { type ErrorCode, PortolanError } from "../core/errors.ts";
import { SIGHTINGS_PER_PART_MAX } from "../core/messages/report.ts";
import type { Statement } from "../core/messages/record.ts";
import { statementId } from "../core/statement.ts";
import type { TokenInfo } from "../registry/types.ts";
import type { ApiDeps } from "./context.ts";

/** A keeper that was away comes to it later: the sightings are true all the same, and the same content is one record. */
const TTL_MS = 24 * 3_600_000;
const WAIT_MS = 5_000;

/** Sightings on their way into the inbox, in chunks of at most 20,000. */
export type Uploader = {
  add(sighting: Sighting): void;
  /** Hands over full chunks. */
  flush(): Promise<void>;
  /** Hands over the rest; the ids of the records that the keeper will make, in order. */
  finish(): Promise<string[]>;
};

/** Gathers what one source saw. Nothing is in the register before the keeper has committed it (see `committed`). */
export function createUploader({ ledger, clock }: Pick<ApiDeps, "ledger" | "clock">, source: string): Uploader {
  const records: string[] = [];
  const full: Sighting[][] = [];
  let filling: Sighting[] = [];
  const hand = async (sightings: readonly Sighting[]): Promise<void> => {
    const payload = encodeSightings(sightings);
    const statement: Statement & { kind: "upload" } = {
      kind: "upload",
      content: {
        version: 1,
        source: source.slice(0, 200),
        sightings: decodeSightingTable(payload).count,
        payloadSha256: await sha256Hex(payload),
        payloadBytes: payload.length,
      },
    };
    const id = await recordId(statement);
    await ledger.submitUpload({ id, body: statement.content, payload }, { nowMs: clock(), ttlMs: TTL_MS });
    records.push(id);
  };
  const flush = async (): Promise<void> => {
    for (let chunk = full.shift(); chunk !== undefined; chunk = full.shift()) await hand(chunk);
  };
  return {
    add: (sighting) => {
      filling.push(sighting);
      if (filling.length < SIGHTINGS_PER_PART_MAX) return;
      full.push(filling);
      filling = [];
    },
    flush,
    finish: async () => {
      await flush();
      if (filling.length > 0) await hand(filling);
      filling = [];
      return records;
    },
  };
}

/** Whether the keeper has committed all of them within 5 s (and one more for each). Throws what it refused. */
export async function committed({ ledger }: Pick<ApiDeps, "ledger">, records: readonly string[]): Promise<boolean> {
  const deadline = performance.now() + WAIT_MS + 1_000 * (records.length - 1);
  for (const id of records) {
    const result = await ledger.awaitCommand(id, Math.max(0, deadline - performance.now()));
    if (result === null) return false;
    if (!result.ok) throw new PortolanError(CODES.find((code) => code === result.code) ?? "internal", result.message);
  }
  return true;
}

const CODES: readonly ErrorCode[] = ["invalid", "too-large", "unavailable"];

/** The 503 of whoever has to send again. */
export function notCommitted(region: string): PortolanError {
  return new PortolanError(
    "unavailable",
    `the keeper of region "${region}" has not taken it within ${WAIT_MS / 1_000} s; check that its daemon runs, then send the same again: repeating is safe`,
  );
}

/** Throws `forbidden` when a token may not hand in anything for this region. */
export function checkScope({ name, scope }: TokenInfo, region: string): void {
  if (scope.regions === null || scope.regions.includes(region)) return;
  throw new PortolanError(
    "forbidden",
    `token "${name}" is for the regions ${scope.regions.join(", ")}, not for "${region}"; send it there`,
  );
}

/** Text of a body, piece by piece. Throws `too-large` beyond `bytesMax`, `invalid` when the sender breaks off. */
export async function* textOf(request: Request, bytesMax: number): AsyncGenerator<string> {
  const tooLarge = (): PortolanError =>
    new PortolanError("too-large", `the body is larger than ${bytesMax / 1024 / 1024} MiB; send it in smaller pieces`);
  if (Number(request.headers.get("content-length") ?? "0") > bytesMax) throw tooLarge();
  const reader = request.body?.getReader();
  const decoder = new TextDecoder();
  let bytes = 0;
  try {
    for (;;) {
      const piece = await reader?.read().catch((error: unknown) => {
        throw new PortolanError("invalid", "the body broke off; send it again: repeating is safe", { cause: error });
      });
      if (piece === undefined || piece.done) break;
      bytes += piece.value.length;
      if (bytes > bytesMax) throw tooLarge();
      yield decoder.decode(piece.value, { stream: true });
    }
    yield decoder.decode();
  } finally {
    reader?.cancel().catch(() => undefined);
  }
}

/** SHA-256 as lower-case hex. */
export async function sha256Hex(data: Uint8Array | string): Promise<string> {
  const bytes = typeof data === "string" ? new TextEncoder().encode(data) : Uint8Array.from(data);
  const digest = new Uint8Array(await crypto.subtle.digest("SHA-256", bytes));
  return [...digest].map((byte) => byte.toString(16).padStart(2, "0")).join("");
}

/** `statementId`, where hashing is asynchronous. */
function recordId(statement: Statement): Promise<string> {
  let hashed = "";
  statementId(statement, (data) => {
    hashed = String(data);
    return "";
  });
  return sha256Hex(hashed);
}
