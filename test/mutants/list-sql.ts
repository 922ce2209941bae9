import type { Mutant } from "./list.ts";

const mutant =
  (killer: Mutant["killer"]) =>
  (name: string, from: string, to: string): Mutant => ({ name: `SQL: ${name}`, file: null, from, to, killer });

const weak = mutant("weak");
const chain = mutant("chain");
const confirm = mutant("confirm");
const log = mutant("log");

/** Mistakes in the projection: the reference fold does not make them, so the two differ. */
export const SQL_MUTANTS: readonly Mutant[] = [
  weak("a sighting that the job did not know of is overruled", "g.last_rseq > coalesce(", "g.last_rseq > 1000 + coalesce("),
  weak("the frontier is read one too high", "g.last_rseq > coalesce(", "g.last_rseq > 1 + coalesce("),
  weak("a held tile counts", "where tc = unhex(?1)), 0, 5)", "where tc = unhex(?1)), 0, 0)"),
  weak(
    "another tile-complete of a held tile counts",
    "h.tile = tile_complete.tile and h.done = 5",
    "h.tile = tile_complete.tile and h.done = 6",
  ),
  weak("what counted before the brake held it goes on counting", "h.tile = ?2 and h.done = 5", "h.tile = ?2 and h.done = 6"),
  weak("a release is ignored", "set done = 0 where id = unhex(?1) and done = 5", "set done = 0 where id = unhex(?1) and done = 6"),
  weak("a second keeper's judgement is ignored", "complete = 0 and excluded.complete = 1", "complete = 9"),
  weak("a partial report counts", "r.shard = n.shard and r.complete = 1", "r.shard = n.shard"),
  weak(
    "a report counts without its parts",
    "n.tc = tile_complete.id and not exists (select 1 from record k",
    "n.tc = tile_complete.tile and not exists (select 1 from record k",
  ),
  weak("a report with something else as its part counts", "k.id = p.part and k.kind = 'part'", "k.id = p.part or k.kind = 'upload'"),
  weak(
    "a record below the frontier may be missing",
    "f.rec = tile_complete.job and f.upto > l.prefix",
    "f.rec = tile_complete.job and f.upto < -1",
  ),
  weak("a tile-complete may leave out a shard", "t.shards = tile_complete.shards", "t.shards >= tile_complete.shards"),
  weak("a report of another tile counts", "r.job = tile_complete.job and r.tile = tile_complete.tile and", ""),
  weak("a contradiction is ignored", "and r.complete = 1 and r.void = 0", "and r.complete = 1 and r.void in (0, 1)"),
  weak("a revoked key counts", "and r.complete = 1 and r.void = 0", "and r.complete = 1 and r.void in (0, 2)"),
  weak("a revoke is honoured only forward", "from signer where revoked = 1 limit 1", "from signer where revoked = 9 limit 1"),
  weak("a revoke is honoured only backward", "iif(s.revoked > 0, 2, 0)", "iif(s.revoked > 9, 2, 0)"),
  weak(
    "misses of a void report stay",
    "delete from miss where (ip, port, proto, job) in",
    "delete from miss where 0 = 1 and (ip, port, proto, job) in",
  ),
  weak("closed services do not look again", "AND s.state = 2\n", "AND s.state = 9\n"),
  weak("tiles that have passed do not look again", "c.done in (1, 3) and w.taken = 1", "c.done = 1 and w.taken = 1"),
  weak("ports outside the tile are missed", "p.hi >= s.port order by p.hi limit 1) <= s.port", "p.hi >= 0 order by p.hi limit 1) <= 65535"),
  weak("a window begins one address late", "s.ip >= max(a.lo, unhex(?1))", "s.ip > max(a.lo, unhex(?1))"),
  weak("a tile's range ends one address early", "s.ip <= min(a.hi, unhex(?2))", "s.ip < min(a.hi, unhex(?2))"),
  weak("a closed service ignores a later sighting", "SET state = 0, doubt = 0, reopened", "SET doubt = 0, reopened"),
  weak("an older position replaces a newer one", "last_rseq = max(last_rseq, excluded.last_rseq)", "last_rseq = excluded.last_rseq"),
  chain(
    "jobs that ran at one time are two looks",
    "WHERE t.job = k.job AND t.tile = k.tile AND r.rseq <= f.upto",
    "WHERE t.job = k.job AND t.tile = k.tile AND r.rseq <= f.upto + 1000",
  ),
  chain("one job counts twice", "AND k.job <> c.job AND EXISTS (", "AND 1 OR EXISTS ("),
  chain("one miss is enough", "SELECT 1 FROM chain c WHERE c.length = j.close_after", "SELECT 1 FROM chain c WHERE c.length >= 1"),
  confirm("no confirm is needed", "WHEN m.confirm = 0 THEN m.enough", "WHEN m.confirm >= 0 THEN m.enough"),
  confirm("an error confirms", "p.answer in (1, 2)", "p.answer in (1, 2, 3)"),
  confirm(
    "a confirm may be older than the sighting",
    "where f.rec = q.id and f.log = g.log), -1)",
    "where f.rec = q.id and f.log = g.log), 1000)",
  ),
  confirm(
    "a confirm may be older than its miss",
    "t.job = m.job AND t.tile = m.tile AND r.rseq <= f.upto",
    "t.job = m.job AND t.tile = m.tile AND r.rseq <= f.upto + 1000",
  ),
  confirm("a confirm's frontier may have holes", "f.rec = probe.id and f.upto > l.prefix", "f.rec = probe.id and f.upto < -1"),
  confirm("any region's confirm will do", "c.region = a.region AND c.basis = 0", "c.basis = 0"),
  confirm("one other scanner is enough", "c.basis = 1) < 2", "c.basis = 1) < 1"),
  confirm("one other scanner counts twice", "count(DISTINCT c.scanner)", "count(*)"),
  confirm("an upload lends a vantage", "iif(?4 is null, -1, ?3)", "?3"),
  confirm("regions that are not on the job's list have to confirm", "AND b.listed = 1", "AND b.listed >= 0"),
  confirm("a probe confirms where it was not accepted", "and l.region = ?2 on conflict do nothing", "on conflict do nothing"),
  confirm(
    "confirms of a revoked key stay",
    "set done = iif(done = 3, 2, 4) where signer = ?1",
    "set done = iif(done = 3, 3, 4) where signer = ?1",
  ),
  confirm("a revoked key confirms", "iif(s.revoked > 0, 4, 0)", "iif(s.revoked > 9, 4, 0)"),
  confirm(
    "a later sighting leaves old confirms standing",
    "DELETE FROM confirm WHERE ip = new.ip",
    "DELETE FROM confirm WHERE 0 AND ip = new.ip",
  ),
  log(
    "a position is used twice",
    "insert into record(log, rseq, id, kind, stamp_ms, chain, signature, author, body, payload, zstd",
    "insert or replace into record(log, rseq, id, kind, stamp_ms, chain, signature, author, body, payload, zstd",
  ),
  log("the frontier goes over a hole", "q.rseq = r.rseq + 1)", "q.rseq > r.rseq)"),
];
