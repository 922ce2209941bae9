import type { Sha256Hex } from "../core/statement.ts";
import { PortolanError } from "../core/errors.ts";
import { type Database, numberOf } from "./database.ts";
import { readStates, stateHash, type StateHash } from "./state-hash.ts";
import { readRecords, type StoredReader } from "./stored.ts";
import { ACCEPT_SIGHTINGS_MAX, type Ledger } from "./types.ts";

/** What a replay of all records says about the register. `differences`: the first services that are not equal, as `hex/port/protocol`. */
export type Verification = {
  readonly ok: boolean;
  readonly live: StateHash;
  readonly replayed: StateHash;
  readonly records: number;
  readonly differences: string[];
};

const DIFFERENCES_MAX = 20;
const WINDOWS_MAX = 10_000_000;

/** `shadow`: an empty ledger that is thrown away afterwards, and its database. */
export type VerifyOptions = StoredReader & {
  readonly shadow: { readonly ledger: Pick<Ledger, "takeLease" | "applyPeers" | "runDeferred">; readonly database: Database };
  readonly sha256: Sha256Hex;
};

/**
 * Replays every record of the live ledger into an empty one and compares what both say about every service. Reads only; takes
 * as long as a rebuild. While the live ledger takes news, what has come since the beginning is left out and the result may be
 * "not settled": then `ok` is false and both hashes say so. Errors: `conflict` when the shadow is not empty.
 */
export async function verify(database: Database, { shadow, sha256, ...reader }: VerifyOptions): Promise<Verification> {
  const [counts] = await shadow.database.batch([{ sql: "select (select count(*) from record) as n" }], "read");
  if (numberOf(counts?.[0], "n") > 0) throw new PortolanError("conflict", "the ledger to replay into is not empty; give a new one");
  const records = await replay(database, { shadow, sha256, ...reader });
  const [live, replayed] = [await stateHash(database, sha256), await stateHash(shadow.database, sha256)];
  const differences = live.hash === replayed.hash ? [] : await firstDifferences(database, shadow.database);
  return { ok: live.settled && replayed.settled && live.hash === replayed.hash, live, replayed, records, differences };
}

/** Applies all records that are here now to another ledger, in batches, and does what they put off. Returns how many. */
async function replay(database: Database, { shadow, sha256, ...reader }: VerifyOptions): Promise<number> {
  const lease = await shadow.ledger.takeLease({ holder: "verify", nowMs: 0, ttlMs: 1 });
  if (lease === null) throw new PortolanError("conflict", "the ledger to replay into is in use; give a new one");
  const [ends] = await database.batch([{ sql: "select coalesce(max(n), 0) as n from record" }], "read");
  const upto = numberOf(ends?.[0], "n");
  let done = 0;
  for (let from = 1; from <= upto;) {
    const page = withinSightings(await readRecords(database, from, upto, reader));
    if (page.length === 0) break;
    await shadow.ledger.applyPeers({ items: page }, { epoch: lease.epoch, nowMs: 0, sha256 });
    done += page.length;
    from = (page.at(-1)?.n ?? upto) + 1;
  }
  for (let windows = 0; windows < WINDOWS_MAX; windows++) {
    if (!(await shadow.ledger.runDeferred({ epoch: lease.epoch, sha256 }))) return done;
  }
  throw new PortolanError("internal", "the replay does not come to an end");
}

/** As many records from the beginning as one transaction takes, at least one. */
export function withinSightings<T extends { readonly statement: { readonly kind: string; readonly content: unknown } }>(
  records: readonly T[],
): T[] {
  let sightings = 0;
  const end = records.findIndex(({ statement }, index) => {
    sightings += sightingsOf(statement.content);
    return index > 0 && sightings > ACCEPT_SIGHTINGS_MAX;
  });
  return end < 0 ? [...records] : records.slice(0, end);
}

function sightingsOf(content: unknown): number {
  const isCounted = typeof content === "object" && content !== null && "payloadBytes" in content && "sightings" in content;
  return isCounted && typeof content.sightings === "number" ? content.sightings : 0;
}

/** Walks both registers in the order of services. */
async function firstDifferences(a: Database, b: Database): Promise<string[]> {
  const differences: string[] = [];
  const [left, right] = [walk(a), walk(b)];
  let [one, other] = [await left.next(), await right.next()];
  while (differences.length < DIFFERENCES_MAX && !(one.done === true && other.done === true)) {
    const order = compare(one.done === true ? null : one.value.key, other.done === true ? null : other.value.key);
    const isEqual = order === 0 && one.done !== true && other.done !== true && one.value.text === other.value.text;
    const key = order <= 0 && one.done !== true ? one.value.key : other.done === true ? "" : other.value.key;
    if (!isEqual) differences.push(key);
    if (order <= 0) one = await left.next();
    if (order >= 0) other = await right.next();
  }
  return differences;
}

/** Null stands behind all keys. */
function compare(a: string | null, b: string | null): number {
  if (a === null || b === null) return a === b ? 0 : a === null ? 1 : -1;
  const [[ipA = "", portA, protoA], [ipB = "", portB, protoB]] = [a.split("/"), b.split("/")];
  if (ipA !== ipB) return ipA < ipB ? -1 : 1;
  return Number(portA) - Number(portB) || Number(protoA) - Number(protoB);
}

async function* walk(database: Database) {
  for (let after: string | null = ""; after !== null;) {
    const page: Awaited<ReturnType<typeof readStates>> = await readStates(database, after);
    yield* page.rows;
    after = page.next;
  }
}
