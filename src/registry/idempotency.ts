import { and, eq, inArray, isNull, lt, sql } from "drizzle-orm";
import { PortolanError } from "../core/errors.ts";
import { type Read, build } from "./query.ts";
import { idempotency as table } from "./schema.ts";
import type { Store } from "./store.ts";
import { sha256Hex } from "./token.ts";

/** An answer as it is kept for a repeat. */
export type KeptAnswer = { readonly status: number; readonly headers: Readonly<Record<string, string>>; readonly body: string };

/** Who repeats what: `bearer` is the caller's whole token, without which nobody reads the answer again. */
export type Named = { readonly tokenId: string; readonly bearer: string; readonly key: string; readonly fingerprint: string };

/** A request that goes on for the first time: one of the two has to be called at its end. Neither throws. */
export type Begun = { finish(answer: KeptAnswer): Promise<void>; abandon(): Promise<void> };

/**
 * Requests that named an Idempotency-Key. The same request gets the same answer for 24 h, in whichever region it arrives; answers are kept
 * sealed with a key that only the caller's token and the Idempotency-Key give, since some hold a secret that is shown once.
 */
export type Idempotency = {
  /** Throws `conflict` while the first request is in flight, `mismatch` for another request under the same key, and `unavailable`. */
  begin(named: Named): Promise<{ readonly replay: KeptAnswer } | { readonly replay: null; readonly begun: Begun }>;
};

const KEPT_MS = 24 * 3_600_000;
/** After this time a request without an end is taken for lost, and a repeat goes on in its place. */
const IN_FLIGHT_MS = 60_000;
const PER_TOKEN_MAX = 1_000;
const ANSWER_CHARS_MAX = 256 * 1024;

export function openIdempotency({ primary, clock }: { readonly primary: Store; readonly clock: () => number }): Idempotency {
  return {
    begin: async (named) => {
      const id = await sha256Hex(JSON.stringify([named.tokenId, named.key]));
      const nowMs = clock();
      const [, , , inserted, rows] = await primary.write([
        build.delete(table).where(lt(table.createdAtMs, nowMs - KEPT_MS)),
        build.delete(table).where(inArray(table.id, overflow(named.tokenId))),
        build.delete(table).where(and(eq(table.id, id), isNull(table.status), lt(table.createdAtMs, nowMs - IN_FLIGHT_MS))),
        build
          .insert(table)
          .values({ id, tokenId: named.tokenId, fingerprint: named.fingerprint, createdAtMs: nowMs })
          .onConflictDoNothing(),
        ROW(id).query,
      ]);
      if (inserted?.rowsAffected === 1) return { replay: null, begun: begunAs(primary, id, named) };
      const row = rows === undefined ? undefined : ROW(id).parse(rows);
      return { replay: await replayOf(row, named) };
    },
  };
}

type Row = { readonly fingerprint: string; readonly status: number | null; readonly answer: string | null };

const ROW = (id: string): Read<Row | undefined> => ({
  query: build.select({ fingerprint: table.fingerprint, status: table.status, answer: table.answer }).from(table).where(eq(table.id, id)),
  parse: (result) => {
    const row = result.rows[0];
    if (row === undefined) return undefined;
    return {
      fingerprint: typeof row[0] === "string" ? row[0] : "",
      status: row[1] === null || row[1] === undefined ? null : Number(row[1]),
      answer: typeof row[2] === "string" ? row[2] : null,
    };
  },
});

/** All but the newest of a token's rows. */
function overflow(tokenId: string) {
  return sql`(select id from idempotency where token_id = ${tokenId} order by created_at_ms desc limit -1 offset ${PER_TOKEN_MAX})`;
}

function begunAs(primary: Store, id: string, named: Named): Begun {
  // Best effort: without it a repeat meets "in flight" for a minute, and then goes on.
  const quietly = async (work: () => Promise<unknown>): Promise<void> => void (await work().catch(() => undefined));
  return {
    finish: (answer) =>
      quietly(async () => {
        const text = JSON.stringify(answer);
        const sealed = text.length > ANSWER_CHARS_MAX ? null : await seal(text, named);
        await primary.write([build.update(table).set({ status: answer.status, answer: sealed }).where(eq(table.id, id))]);
      }),
    abandon: () => quietly(() => primary.write([build.delete(table).where(and(eq(table.id, id), isNull(table.status)))])),
  };
}

async function replayOf(row: Row | undefined, named: Named): Promise<KeptAnswer> {
  if (row !== undefined && row.fingerprint !== named.fingerprint) {
    throw new PortolanError("mismatch", "this Idempotency-Key was used for another request; use a new key for each request");
  }
  if (row === undefined || row.status === null) {
    throw new PortolanError("conflict", "the first request with this Idempotency-Key is still in flight; repeat it in a moment");
  }
  const text = row.answer === null ? null : await unseal(row.answer, named);
  if (text === null) {
    throw new PortolanError(
      "conflict",
      `this request was answered before (status ${row.status}), but its answer is not kept; read what it did instead`,
    );
  }
  return JSON.parse(text) as KeptAnswer;
}

async function sealingKey({ bearer, key }: Named): Promise<CryptoKey> {
  const digest = await crypto.subtle.digest("SHA-256", new TextEncoder().encode(JSON.stringify(["portolan.idempotency/1", bearer, key])));
  return crypto.subtle.importKey("raw", digest, "AES-GCM", false, ["encrypt", "decrypt"]);
}

async function seal(text: string, named: Named): Promise<string> {
  const iv = crypto.getRandomValues(new Uint8Array(12));
  const sealed = await crypto.subtle.encrypt({ name: "AES-GCM", iv }, await sealingKey(named), new TextEncoder().encode(text));
  return `${toBase64(iv)}.${toBase64(new Uint8Array(sealed))}`;
}

async function unseal(text: string, named: Named): Promise<string | null> {
  const [iv, sealed] = text.split(".").map((part) => Uint8Array.from(atob(part), (char) => char.charCodeAt(0)));
  if (iv === undefined || sealed === undefined) return null;
  try {
    return new TextDecoder().decode(await crypto.subtle.decrypt({ name: "AES-GCM", iv }, await sealingKey(named), sealed));
  } catch {
    return null;
  }
}

function toBase64(bytes: Uint8Array): string {
  let text = "";
  for (const byte of bytes) text += String.fromCharCode(byte);
  return btoa(text);
}
