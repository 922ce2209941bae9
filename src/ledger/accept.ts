import { PortolanError } from "../core/errors.ts";
import type { Receipt } from "../core/messages/bus.ts";
import type { Judged } from "../core/messages/record.ts";
import { chainHash } from "../core/statement.ts";
import { isPositionTaken, leaseLost, recordStatements, refuseTooMuch } from "./append.ts";
import { type Database, numberOf, type Sql, textOf } from "./database.ts";
import { type Positioned, project } from "./project.ts";
import { claimLease, isLeaseLost, SETTLE } from "./settle.ts";
import type { AcceptContext, AcceptItem } from "./types.ts";

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
  let guess: Head | null = null;
  for (let attempt = 1; ; attempt++) {
    const head: Head = memory.head ?? (await readHead(database, items));
    if (guess !== null) refuseSetBack(guess, head);
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
      if (head.isGuess) guess = head;
    }
  }
}

/** A log only grows. One that ends before our own last append lost records under us, and would give their numbers a second time. */
function refuseSetBack(guess: Head, { log, next, chain }: Head): void {
  if (log !== guess.log || next > guess.next || (next === guess.next && chain === guess.chain)) return;
  throw new PortolanError(
    "conflict",
    `log ${log} ends at record ${next - 1} although ${guess.next - 1} was committed: the ledger was restored or set back while its keeper worked`,
  );
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
    const judged = judgedOf(item);
    const chain = chainHash({ log: head.log, rseq, previous, id: item.id, stampMs, judged }, context.sha256);
    fresh.push({ item, acceptance: { log: head.log, rseq, stampMs, judged, chain, signature: await context.sign(chain) } });
    previous = chain;
  }
  return fresh;
}

/** A report is what the keeper judged it to be; without a judgement what its scanner calls it. */
function judgedOf({ statement, judged }: AcceptItem): Judged {
  return statement.kind === "report" ? (judged ?? statement.content.outcome).kind : null;
}

function receipts(items: readonly AcceptItem[], head: Head, fresh: readonly Positioned[]): Receipt[] {
  const numbers = new Map(head.held);
  for (const { item, acceptance } of fresh) numbers.set(item.id, acceptance.rseq);
  return items.map(({ id }) => ({ id, log: head.log, rseq: numbers.get(id) ?? 0 }));
}
