import { PortolanError } from "../core/errors.ts";
import { judgedSchema } from "../core/messages/record.ts";
import { chainHash } from "../core/statement.ts";
import { isPositionTaken, leaseLost } from "./append.ts";
import { type Database, numberOf, type Sql, textOf } from "./database.ts";
import type { RetireContext } from "./peer-types.ts";
import { START_REBUILD } from "./rebuild.ts";
import { claimLease, isLeaseLost, SETTLE } from "./settle.ts";

/** Records in one answer or argument; each takes some 250 bytes. */
const CHUNK_RECORDS = 5_000;

/** A record that goes over to the new log. */
type Moved = { readonly n: number; readonly rseq: number; readonly chain: string; readonly signature: string };

/** See `PeerCommands.retireLog`. All of it is one transaction. */
export async function retireLog(database: Database, mintLogId: () => string, context: RetireContext): Promise<{ log: string }> {
  const { epoch, reason, fork } = context;
  const [rows] = await database.batch(
    [{ sql: "select n, id, region, (select max(rseq) from record where log = log.n) as highest from log where own = 1" }],
    "read",
  );
  const old = rows?.[0];
  if (old === undefined) throw new PortolanError("internal", "the ledger has no log of its own; call ensureLog first");
  const log = mintLogId();
  const oldNumber = numberOf(old, "n");
  const highest = old["highest"] === null ? -1 : numberOf(old, "highest");
  const moved = fork === undefined ? [] : await movedRecords(database, oldNumber, log, fork);
  const statements: Sql[] = [
    claimLease(epoch, 0),
    // Fails the transaction when another keeper appended, or gave the log up, in between.
    {
      sql: `insert into record(log, rseq, id, kind, stamp_ms, chain, signature, author, body, zstd) select null, 0, x'', '', 0, x'', '', '', '', 0
        where (select own from log where n = ?1) = 0 or coalesce((select max(rseq) from record where log = ?1), -1) <> ?2`,
      args: [oldNumber, highest],
    },
    { sql: "update log set own = 0, retired = ?2 where n = ?1", args: [oldNumber, reason.slice(0, 300)] },
    { sql: "insert into log(id, region, own) values (?1, ?2, 1)", args: [log, textOf(old, "region")] },
    { sql: "delete from published" },
    ...(moved.length === 0 ? [] : moveStatements(oldNumber, log, moved)),
  ];
  try {
    await database.batch(statements, "write");
  } catch (error) {
    if (isLeaseLost(error)) throw leaseLost(error);
    if (isPositionTaken(error)) throw new PortolanError("conflict", "the log grew while it was given up; try again", { cause: error });
    throw error;
  }
  return { log };
}

/** The records above the fork with their places in the new log: ids, stamps and judgements stay, the chain begins anew. */
async function movedRecords(database: Database, old: number, log: string, fork: NonNullable<RetireContext["fork"]>): Promise<Moved[]> {
  const moved: Moved[] = [];
  let previous = "";
  for (let from = fork.above + 1; ;) {
    const [rows = []] = await database.batch(
      [
        {
          sql: "select n, rseq, lower(hex(id)) as id, stamp_ms, judged from record where log = ?1 and rseq >= ?2 order by rseq limit ?3",
          args: [old, from, CHUNK_RECORDS],
        },
      ],
      "read",
    );
    for (const row of rows) {
      const link = { log, rseq: moved.length, previous, id: textOf(row, "id"), stampMs: numberOf(row, "stamp_ms") };
      const chain = chainHash({ ...link, judged: judgedSchema.parse(row["judged"]) }, fork.sha256);
      moved.push({ n: numberOf(row, "n"), rseq: link.rseq, chain, signature: await fork.sign(chain) });
      previous = chain;
    }
    if (rows.length < CHUNK_RECORDS) return moved;
    from = numberOf(rows.at(-1), "rseq") + 1;
  }
}

/** What was seen at the old positions is nothing that a peer's frontier over the old log may overrule: the register is made anew. */
function moveStatements(old: number, log: string, moved: readonly Moved[]): Sql[] {
  const statements: Sql[] = [];
  for (let at = 0; at < moved.length; at += CHUNK_RECORDS) {
    const rows = moved.slice(at, at + CHUNK_RECORDS).map(({ n, rseq, chain, signature }) => [n, rseq, chain, signature]);
    statements.push({
      sql: `update record set log = (select n from log where id = ?1), rseq = m.value->>1, chain = unhex(m.value->>2), signature = m.value->>3
        from json_each(?2) m where record.n = m.value->>0`,
      args: [log, JSON.stringify(rows)],
    });
  }
  return [
    ...statements,
    { sql: "update log set prefix = coalesce((select max(rseq) from record where log = ?1), -1) where n = ?1", args: [old] },
    {
      sql: "update log set last_stamp_ms = coalesce((select max(stamp_ms) from record where log = log.n), 0) where id = ?1",
      args: [log],
    },
    ...START_REBUILD,
    ...SETTLE,
  ];
}
