import { PortolanError } from "../core/errors.ts";
import type { Receipt } from "../core/messages/bus.ts";
import { chainHash, type Sha256Hex } from "../core/statement.ts";
import { type Database, numberOf, type Sql, textOf } from "./database.ts";
import { insertRecord, type Positioned, project } from "./project.ts";
import { claimLease, isLeaseLost, SETTLE } from "./settle.ts";
import { ACCEPT_ITEMS_MAX, ACCEPT_SIGHTINGS_MAX, type AcceptContext, type AcceptItem, type PeerItem } from "./types.ts";

/** Another keeper may have taken the numbers that we read; after that many times something is wrong. */
const NUMBERING_ATTEMPTS = 20;

/** Where this region's own log ends. `chain` is "" and `next` 0 for an empty log. */
type Head = {
  readonly log: string;
  readonly next: number;
  readonly chain: string;
  readonly stampMs: number;
  /** Numbers of the items that the log has already. */
  readonly held: ReadonlyMap<string, number>;
  /** Concluded from our own last append instead of read: the transaction has to prove it. */
  readonly isGuess: boolean;
};

/** Where our last append left the log, so that the next one need not ask. */
export type HeadMemory = { head: Head | null };

/** See `Ledger.accept`. */
export async function accept(
  database: Database,
  items: readonly AcceptItem[],
  context: AcceptContext,
  memory: HeadMemory,
): Promise<Receipt[]> {
  refuseTooMuch(items);
  for (let attempt = 1; ; attempt++) {
    const head = memory.head ?? (await readHead(database, items));
    const fresh = await numberItems(items, head, context);
    if (fresh.length === 0 && (context.finishes ?? []).length === 0) return receipts(items, head, fresh);
    memory.head = null;
    try {
      await database.batch(acceptStatements(head, fresh, context), "write");
      memory.head = headAfter(head, fresh);
      return receipts(items, head, fresh);
    } catch (error) {
      if (isLeaseLost(error)) throw leaseLost(error);
      // A keeper whose lease ended, or an earlier try of our own, appended in between: look, and number again.
      if (!isPositionTaken(error) || attempt >= NUMBERING_ATTEMPTS) throw error;
    }
  }
}

function headAfter(head: Head, fresh: readonly Positioned[]): Head {
  const { chain, stampMs } = fresh.at(-1)?.acceptance ?? head;
  return { log: head.log, next: head.next + fresh.length, chain, stampMs, held: new Map(), isGuess: true };
}

/** Fails the transaction unless the log ends where we think and holds none of the items: a repeat must not get a second number. */
function proveHead(head: Head, fresh: readonly Positioned[]): Sql {
  return {
    sql: `insert into record(log, rseq, id, kind, stamp_ms, chain, signature, author, body, zstd)
      select null, 0, x'', '', 0, x'', '', '', '', 0 from log l where l.own = 1 and (l.id <> ?1
        or coalesce((select lower(hex(r.chain)) from record r where r.log = l.n and r.rseq = ?2 - 1), '') <> ?3
        or exists (select 1 from json_each(?4) cross join record r on r.id = unhex(value) and r.log = l.n))`,
    args: [head.log, head.next, head.chain, JSON.stringify(fresh.map(({ item }) => item.id))],
  };
}

/** See `Ledger.applyPeer`. */
export async function applyPeer(
  database: Database,
  items: readonly PeerItem[],
  context: Pick<AcceptContext, "epoch" | "nowMs" | "sha256" | "compress">,
): Promise<void> {
  refuseTooMuch(items);
  const positioned = items.map((item) => ({ item, acceptance: item.acceptance }));
  const logs = new Map(items.map(({ acceptance, region }) => [acceptance.log, region]));
  const stampMs = Math.max(context.nowMs, ...items.map(({ acceptance }) => acceptance.stampMs));
  try {
    await database.batch(
      [
        claimLease(context.epoch, stampMs),
        {
          sql: `insert into log(id, region) select value->>0, value->>1 from json_each(?1) where true
            on conflict do update set region = excluded.region where region = ''`,
          args: [JSON.stringify([...logs])],
        },
        ...recordStatements(positioned, context, projectIfValid),
        ...SETTLE,
      ],
      "write",
    );
  } catch (error) {
    if (isLeaseLost(error)) throw leaseLost(error);
    if (isPositionTaken(error)) {
      throw new PortolanError(
        "conflict",
        "a peer sent another record for a position that this ledger holds; its log has to be minted anew",
        { cause: error },
      );
    }
    throw error;
  }
}

function acceptStatements(head: Head, fresh: readonly Positioned[], context: AcceptContext): Sql[] {
  const stampMs = fresh.at(-1)?.acceptance.stampMs ?? head.stampMs;
  const looks = JSON.stringify((context.looks ?? []).map(({ job, tile, open, missed, overruled }) => [job, tile, open, missed, overruled]));
  const look: Sql = {
    sql: `insert into tile_look(job, tile, open, missed, overruled) select unhex(value->>0), value->>1, value->>2, value->>3, value->>4 from json_each(?1) where true
      on conflict do update set open = excluded.open, missed = excluded.missed, overruled = excluded.overruled`,
    args: [looks],
  };
  const finishes = (context.finishes ?? []).map(({ id, result }) => ({
    sql: "update inbox set done_at_ms = ?2, result = ?3 where id = ?1 and done_at_ms is null",
    args: [id, context.nowMs, JSON.stringify({ ok: true, result })],
  }));
  const proof = head.isGuess ? [proveHead(head, fresh)] : [];
  return [claimLease(context.epoch, stampMs), ...proof, ...recordStatements(fresh, context, project), look, ...finishes, ...SETTLE];
}

/** What a peer accepted is kept even when it means nothing here: a gap in its log would stop all closing. */
export function projectIfValid(positioned: Positioned, sha256: Sha256Hex): Sql[] {
  try {
    return project(positioned, sha256);
  } catch (error) {
    if (error instanceof PortolanError && error.code === "invalid") return [];
    throw error;
  }
}

function recordStatements(
  positioned: readonly Positioned[],
  context: Pick<AcceptContext, "sha256" | "compress">,
  projection: typeof project,
): Sql[] {
  const stamps = positioned.map(({ acceptance }) => [acceptance.log, acceptance.stampMs]);
  const signers = positioned
    .filter(({ item }) => SCANNER_KINDS.has(item.statement.kind))
    .map(({ item, acceptance }) => [item.author.publicKey, item.author.name, acceptance.stampMs]);
  return [
    ...positioned.map((one) => insertRecord(one, context.compress)),
    {
      sql: `update log set last_stamp_ms = max(last_stamp_ms, (select max(value->>1) from json_each(?1) where value->>0 = log.id))
        where id in (select value->>0 from json_each(?1))`,
      args: [JSON.stringify(stamps)],
    },
    {
      sql: `insert into signer(key, name, last_stamp_ms) select value->>0, value->>1, max(value->>2) from json_each(?1) where true group by 1
        on conflict do update set last_stamp_ms = max(last_stamp_ms, excluded.last_stamp_ms)`,
      args: [JSON.stringify(signers)],
    },
    ...positioned.flatMap((one) => projection(one, context.sha256)),
  ];
}

/** What scanners say themselves. */
const SCANNER_KINDS: ReadonlySet<string> = new Set(["part", "report", "probe"]);

async function readHead(database: Database, items: readonly AcceptItem[]): Promise<Head> {
  const [logs, held] = await database.batch(
    [
      {
        sql: `select l.id, r.rseq, lower(hex(r.chain)) as chain, (select max(last_stamp_ms) from log) as stamp_ms
          from log l left join record r on r.log = l.n and r.rseq = (select max(rseq) from record where log = l.n) where l.own = 1`,
      },
      {
        sql: `select lower(hex(r.id)) as id, r.rseq from json_each(?1) cross join record r on r.id = unhex(value) cross join log l on l.n = r.log where l.own = 1`,
        args: [JSON.stringify(items.map(({ id }) => id))],
      },
    ],
    "read",
  );
  const log = logs?.[0];
  if (log === undefined) throw new PortolanError("internal", "the ledger has no log of its own; call ensureLog first");
  const empty = log["rseq"] === null;
  return {
    log: textOf(log, "id"),
    next: empty ? 0 : numberOf(log, "rseq") + 1,
    chain: empty ? "" : textOf(log, "chain"),
    stampMs: numberOf(log, "stamp_ms"),
    held: new Map((held ?? []).map((row) => [textOf(row, "id"), numberOf(row, "rseq")])),
    isGuess: false,
  };
}

/** Gives numbers to what the log lacks; repeats are sorted out before, so that no hole arises. */
async function numberItems(items: readonly AcceptItem[], head: Head, context: AcceptContext): Promise<Positioned[]> {
  const fresh: Positioned[] = [];
  const seen = new Set(head.held.keys());
  let previous = head.chain;
  let stampMs = head.stampMs;
  for (const item of items) {
    if (seen.has(item.id)) continue;
    seen.add(item.id);
    stampMs = Math.max(context.nowMs, stampMs + 1);
    const rseq = head.next + fresh.length;
    const chain = chainHash({ log: head.log, rseq, previous, id: item.id, stampMs }, context.sha256);
    fresh.push({ item, acceptance: { log: head.log, rseq, stampMs, chain, signature: await context.sign(chain) } });
    previous = chain;
  }
  return fresh;
}

function receipts(items: readonly AcceptItem[], head: Head, fresh: readonly Positioned[]): Receipt[] {
  const numbers = new Map(head.held);
  for (const { item, acceptance } of fresh) numbers.set(item.id, acceptance.rseq);
  return items.map(({ id }) => ({ id, log: head.log, rseq: numbers.get(id) ?? 0 }));
}

function refuseTooMuch(items: readonly AcceptItem[]): void {
  let sightings = 0;
  for (const item of items) {
    if (item.statement.kind === "part" || item.statement.kind === "upload") sightings += item.statement.content.sightings;
  }
  if (items.length > ACCEPT_ITEMS_MAX || sightings > ACCEPT_SIGHTINGS_MAX) {
    throw new PortolanError(
      "too-large",
      `${items.length} records with ${sightings} sightings at once; the ledger takes ${ACCEPT_ITEMS_MAX} and ${ACCEPT_SIGHTINGS_MAX}: send fewer`,
    );
  }
}

function isPositionTaken(error: unknown): boolean {
  return error instanceof Error && /(UNIQUE|NOT NULL) constraint failed: record\./.test(error.message);
}

function leaseLost(cause: unknown): PortolanError {
  return new PortolanError("conflict", "another keeper of this region has the lease; this one writes nothing", { cause });
}
