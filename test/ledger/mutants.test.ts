import { expect, test } from "vitest";
import { deliveryOf, historyOf, randomOf } from "./history.ts";
import { openMemoryDatabase } from "./memory-database.ts";
import { deliver, ORDERS, OWN_LOG } from "./projection-check.ts";

const HISTORIES_MAX = 800;

/** What a broken projection would look like: name, a piece of its SQL, what stands there instead. */
const MUTANTS: readonly (readonly [string, string, string])[] = [
  ["a sighting that the job did not know of is overruled", "g.last_rseq > coalesce(", "g.last_rseq > 1000 + coalesce("],
  ["a held tile counts", "held is null", "held is not 5"],
  ["a partial report counts", "r.shard = n.shard and r.complete = 1", "r.shard = n.shard"],
  ["a report counts without its parts", "and k.kind = 'part')", "or true)"],
  ["a hole below the frontier is ignored", "f.upto > l.prefix", "f.upto < -1"],
  ["a tile-complete may leave out a shard", "t.shards = tile_complete.shards", "t.shards >= tile_complete.shards"],
  ["a report of another tile counts", "r.job = tile_complete.job and r.tile = tile_complete.tile and", ""],
  ["two reports of one run both count", "and r.complete = 1 and r.void = 0", "and r.complete = 1"],
  [
    "misses of a contradicted report stay",
    "delete from miss where (ip, port, proto, job) in",
    "delete from miss where 0 = 1 and (ip, port, proto, job) in",
  ],
  [
    "closed services do not look again after misses were taken back",
    "set done = 1, cursor = null where done in (1, 3)",
    "set done = 1, cursor = null where done = -1",
  ],
  ["jobs that ran at one time count as two looks", "AND r.rseq <= f.upto))", "AND r.rseq <= f.upto + 1000))"],
  ["a job counts twice in a chain", "AND k.job <> c.job AND EXISTS (", "AND 1 OR EXISTS ("],
  ["ports outside the tile are missed", "p.hi >= s.port order by p.hi limit 1) <= s.port", "p.hi >= 0 order by p.hi limit 1) <= 65535"],
  ["a closed service ignores a later sighting", "SET state = 0, doubt = 0, reopened", "SET doubt = 0, reopened"],
  ["a job that wants a confirm closes without one", "AND j.confirm = 0", ""],
  [
    "a window begins one address late",
    "s.ip >= max(a.lo, unhex(?1)) and s.ip <= min(a.hi, unhex(?2))",
    "s.ip > max(a.lo, unhex(?1)) and s.ip <= min(a.hi, unhex(?2))",
  ],
  ["an older position replaces a newer one", "last_rseq = max(last_rseq, excluded.last_rseq)", "last_rseq = excluded.last_rseq"],
  ["a report with an upload's id as its part counts", "k.id = p.part and k.kind = 'part'", "k.id = p.part or k.kind = 'upload'"],
];

for (const [name, from, to] of MUTANTS) {
  test(`the property finds the mistake: ${name}`, async () => {
    let changed = false;
    const database = openMemoryDatabase((sql) => {
      changed ||= sql.includes(from);
      return sql.replaceAll(from, to);
    });
    try {
      expect(await isFound(() => database.clear(), database)).toBe(true);
      expect(changed).toBe(true);
    } finally {
      database.close();
    }
  });
}

async function isFound(clear: () => void, database: ReturnType<typeof openMemoryDatabase>): Promise<boolean> {
  for (let seed = 1; seed <= HISTORIES_MAX; seed++) {
    const random = randomOf(seed);
    const items = historyOf(random, 25);
    clear();
    const own = random.chance(0.5) ? items.filter(({ acceptance }) => acceptance.log === OWN_LOG) : null;
    const order = random.pick(ORDERS);
    try {
      await deliver(database, random, deliveryOf(random, items, order), own, { comparisons: 0, states: {} });
    } catch (error) {
      if (error instanceof Error && error.name === "AssertionError") return true;
      throw error;
    }
  }
  return false;
}
