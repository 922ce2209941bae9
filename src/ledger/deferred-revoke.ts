import { type Database, numberOf, optionalTextOf, type Sql, type SqlRow } from "./database.ts";
import { REFOLD_ASSIGNMENTS, REVOKED, VOID_TILES } from "./project-report.ts";
import { claimLease } from "./settle.ts";

/** Reports in one window. */
const WINDOW_REPORTS = 200;

/** A key that was revoked, and up to which report that has been done. */
export const REVOKE_DUE: Sql = { sql: "select n, lower(hex(cursor)) as cursor from signer where revoked = 1 limit 1" };

/** One window of reports of a revoked key: they become void, and with them what they covered. At last its probes. */
export async function takeBackKey(database: Database, due: SqlRow, epoch: number): Promise<void> {
  const n = numberOf(due, "n");
  const from = optionalTextOf(due, "cursor") ?? "";
  const [ends] = await database.batch(
    [
      {
        sql: "select lower(hex(id)) as id from report where signer = ?1 and id > unhex(?2) order by id limit 1 offset ?3",
        args: [n, from, WINDOW_REPORTS - 1],
      },
    ],
    "read",
  );
  const to = optionalTextOf(ends?.[0], "id");
  const args = [n, from, to ?? "ff".repeat(33)];
  const window = "signer = ?1 and id > unhex(?2) and id <= unhex(?3)";
  const end: Sql[] =
    to === null
      ? [
          { sql: "update probe set done = iif(done = 3, 2, 4) where signer = ?1 and done in (0, 1, 3)", args: [n] },
          { sql: "update signer set revoked = 2, cursor = null where n = ?1", args: [n] },
        ]
      : [{ sql: "update signer set cursor = unhex(?2) where n = ?1", args: [n, to] }];
  await database.batch(
    [
      claimLease(epoch, 0),
      { sql: `update report set void = void | 2, problem = '${REVOKED}' where ${window} and void & 2 = 0`, args },
      {
        sql: `${REFOLD_ASSIGNMENTS} where (job, tile, shard) in (select r.job, r.tile, r.shard from report r where r.${window.replaceAll(" id", " r.id")})`,
        args,
      },
      {
        sql: `${VOID_TILES} and id in (select n.tc from report r cross join tile_need n on n.report = r.id where r.${window.replaceAll(" id", " r.id")})`,
        args,
      },
      ...end,
    ],
    "write",
  );
}
