import { type Database, optionalTextOf, type Sql, type SqlRow } from "./database.ts";
import { HAS_PORT, OVERRULED } from "./deferred-tile.ts";
import { claimLease } from "./settle.ts";

/** Tile-completes in one window. */
const WINDOW_TILES = 200;

/** Whether services wait, and how far the round is that runs. */
export const RELOOK_DUE: Sql = {
  sql: `select (select lower(hex(cursor)) from relook_pass where id = 1) as cursor
    where exists (select 1 from relook where taken = 0) or exists (select 1 from relook_pass)`,
};

/**
 * One window of looking again at services that were closed until evidence was taken back: later passes had left them out,
 * so every tile that counts is asked about just these. Tiles that begin to count in the meantime see them anyway.
 */
export async function lookAgain(database: Database, due: SqlRow, epoch: number): Promise<void> {
  const cursor = optionalTextOf(due, "cursor");
  const from = cursor ?? "";
  const [ends] = await database.batch(
    [
      {
        sql: "select lower(hex(id)) as id from tile_complete where id > unhex(?1) order by id limit 1 offset ?2",
        args: [from, WINDOW_TILES - 1],
      },
    ],
    "read",
  );
  const to = optionalTextOf(ends?.[0], "id");
  const begin: Sql[] =
    cursor === null
      ? [{ sql: "insert into relook_pass(id, cursor) values (1, x'')" }, { sql: "update relook set taken = 1 where taken = 0" }]
      : [];
  const end: Sql[] =
    to === null
      ? [{ sql: "delete from relook where taken = 1" }, { sql: "delete from relook_pass" }]
      : [{ sql: "update relook_pass set cursor = unhex(?1)", args: [to] }];
  await database.batch([claimLease(epoch, 0), ...begin, { sql: RELOOK, args: [from, to ?? "ff".repeat(33)] }, ...end], "write");
}

/** As in a closing pass, but for the services in `relook` and all tile-completes of a window of ids. */
const RELOOK = `insert into miss(ip, port, proto, job, tile) select s.ip, s.port, s.proto, c.job, c.tile
  from tile_complete c cross join tile t on t.job = c.job and t.n = c.tile cross join range_set a on a.id = t.range_set
    cross join relook w on w.ip >= a.lo and w.ip <= a.hi
    cross join service s on s.ip = w.ip and s.port = w.port and s.proto = w.proto
  where c.id > unhex(?1) and c.id <= unhex(?2) and c.done in (1, 3) and w.taken = 1 and s.state < 2
    and ${HAS_PORT} and ${OVERRULED}
  on conflict do nothing`;
