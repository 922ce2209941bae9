-- Tables and indexes follow src/ledger/schema (a test compares them).

CREATE TABLE assignment (
	job blob NOT NULL,
	tile integer NOT NULL,
	shard integer NOT NULL,
	scanner text NOT NULL,
	attempt integer DEFAULT 1 NOT NULL,
	state integer DEFAULT 0 NOT NULL,
	retry_at_ms integer DEFAULT 0 NOT NULL,
	problem text,
	PRIMARY KEY(job, tile, shard)
) STRICT, WITHOUT ROWID;
CREATE INDEX assignment_open ON assignment (job,scanner,tile,shard) WHERE state = 0;

CREATE TABLE change (
	n integer PRIMARY KEY NOT NULL,
	ip blob NOT NULL,
	port integer NOT NULL,
	proto integer NOT NULL,
	was integer,
	state integer NOT NULL,
	at_ms integer NOT NULL
) STRICT;

CREATE TABLE frontier (
	rec blob NOT NULL,
	log integer NOT NULL,
	upto integer NOT NULL,
	PRIMARY KEY(rec, log)
) STRICT, WITHOUT ROWID;

CREATE TABLE heartbeat (
	scanner text PRIMARY KEY NOT NULL,
	body text NOT NULL,
	at_ms integer NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE inbox (
	n integer PRIMARY KEY NOT NULL,
	id text NOT NULL,
	kind text NOT NULL,
	body text NOT NULL,
	created_at_ms integer NOT NULL,
	expires_at_ms integer NOT NULL,
	done_at_ms integer,
	result text
) STRICT;
CREATE UNIQUE INDEX inbox_id_unique ON inbox (id);
CREATE INDEX inbox_open ON inbox (n) WHERE done_at_ms is null;
CREATE INDEX inbox_done ON inbox (done_at_ms) WHERE done_at_ms is not null;

CREATE TABLE job (
	id blob PRIMARY KEY NOT NULL,
	plan_id text NOT NULL,
	plan text NOT NULL,
	scanner_group text NOT NULL,
	home text NOT NULL,
	cause text NOT NULL,
	close_after integer NOT NULL,
	confirm integer NOT NULL,
	planned_at_ms integer NOT NULL,
	deadline_at_ms integer NOT NULL,
	pairs integer NOT NULL,
	tiles integer NOT NULL,
	tiles_made integer DEFAULT 0 NOT NULL,
	tiles_complete integer DEFAULT 0 NOT NULL,
	tiles_abandoned integer DEFAULT 0 NOT NULL,
	ended_at_ms integer
) STRICT, WITHOUT ROWID;
CREATE INDEX job_planned ON job (planned_at_ms,id);
CREATE INDEX job_plan ON job (plan_id,planned_at_ms);
CREATE INDEX job_uncut ON job (planned_at_ms) WHERE tiles_made < tiles;
CREATE INDEX job_running ON job (planned_at_ms,id) WHERE ended_at_ms is null;

CREATE TABLE job_member (
	job blob NOT NULL,
	region text NOT NULL,
	scanner text NOT NULL,
	PRIMARY KEY(job, region, scanner)
) STRICT, WITHOUT ROWID;

CREATE TABLE keeper (
	id integer PRIMARY KEY NOT NULL,
	holder text DEFAULT '' NOT NULL,
	epoch integer DEFAULT 0 NOT NULL,
	until_ms integer DEFAULT 0 NOT NULL,
	claim integer DEFAULT 0 NOT NULL,
	stamp_ms integer DEFAULT 0 NOT NULL,
	CONSTRAINT keeper_one CHECK(keeper.id = 1)
) STRICT;

CREATE TABLE log (
	n integer PRIMARY KEY NOT NULL,
	id text NOT NULL,
	region text DEFAULT '' NOT NULL,
	own integer DEFAULT 0 NOT NULL,
	prefix integer DEFAULT -1 NOT NULL,
	last_stamp_ms integer DEFAULT 0 NOT NULL
) STRICT;
CREATE UNIQUE INDEX log_id_unique ON log (id);

CREATE TABLE miss (
	ip blob NOT NULL,
	port integer NOT NULL,
	proto integer NOT NULL,
	job blob NOT NULL,
	tile integer NOT NULL,
	PRIMARY KEY(ip, port, proto, job)
) STRICT, WITHOUT ROWID;

CREATE TABLE port_set (
	id blob NOT NULL,
	proto integer NOT NULL,
	hi integer NOT NULL,
	lo integer NOT NULL,
	PRIMARY KEY(id, proto, hi)
) STRICT, WITHOUT ROWID;

CREATE TABLE progress (
	job blob NOT NULL,
	tile integer NOT NULL,
	shard integer NOT NULL,
	attempt integer NOT NULL,
	body text NOT NULL,
	at_ms integer NOT NULL,
	PRIMARY KEY(job, tile, shard)
) STRICT, WITHOUT ROWID;

CREATE TABLE range_set (
	id blob NOT NULL,
	lo blob NOT NULL,
	hi blob NOT NULL,
	PRIMARY KEY(id, lo)
) STRICT, WITHOUT ROWID;

CREATE TABLE record (
	n integer PRIMARY KEY NOT NULL,
	log integer NOT NULL,
	rseq integer NOT NULL,
	id blob NOT NULL,
	kind text NOT NULL,
	stamp_ms integer NOT NULL,
	chain blob NOT NULL,
	signature text NOT NULL,
	author text NOT NULL,
	body text NOT NULL,
	payload blob,
	zstd integer NOT NULL
) STRICT;
CREATE UNIQUE INDEX record_position ON record (log,rseq);
CREATE UNIQUE INDEX record_id ON record (id,log);

CREATE TABLE report (
	id blob PRIMARY KEY NOT NULL,
	job blob NOT NULL,
	tile integer NOT NULL,
	shard integer NOT NULL,
	attempt integer NOT NULL,
	scanner text NOT NULL,
	run text NOT NULL,
	complete integer NOT NULL,
	void integer DEFAULT 0 NOT NULL,
	problem text,
	stamp_ms integer NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX report_of ON report (job,tile,shard);
CREATE INDEX report_run ON report (run);

CREATE TABLE report_part (
	report blob NOT NULL,
	part blob NOT NULL,
	PRIMARY KEY(report, part)
) STRICT, WITHOUT ROWID;

CREATE TABLE service (
	ip blob NOT NULL,
	port integer NOT NULL,
	proto integer NOT NULL,
	state integer DEFAULT 0 NOT NULL,
	doubt integer DEFAULT 0 NOT NULL,
	known integer DEFAULT 0 NOT NULL,
	reopened integer DEFAULT 0 NOT NULL,
	since_ms integer NOT NULL,
	PRIMARY KEY(ip, port, proto)
) STRICT, WITHOUT ROWID;
CREATE INDEX service_shown ON service (ip,port,proto) WHERE state < 2 and known = 0;
CREATE INDEX service_port ON service (port,ip,proto) WHERE state < 2 and known = 0;
CREATE INDEX service_missing ON service (ip,port,proto) WHERE state = 1;
CREATE INDEX service_closed ON service (ip,port,proto) WHERE state = 2;

CREATE TABLE sighting (
	ip blob NOT NULL,
	port integer NOT NULL,
	proto integer NOT NULL,
	log integer NOT NULL,
	first_at_s integer NOT NULL,
	last_at_s integer NOT NULL,
	last_rseq integer NOT NULL,
	vantage integer NOT NULL,
	PRIMARY KEY(ip, port, proto, log)
) STRICT, WITHOUT ROWID;

CREATE TABLE tally (
	port integer NOT NULL,
	proto integer NOT NULL,
	state integer NOT NULL,
	known integer NOT NULL,
	n integer NOT NULL,
	PRIMARY KEY(port, proto, state, known)
) STRICT, WITHOUT ROWID;

CREATE TABLE tile (
	job blob NOT NULL,
	n integer NOT NULL,
	range_set blob NOT NULL,
	port_set blob NOT NULL,
	engine text NOT NULL,
	shards integer NOT NULL,
	shards_left integer NOT NULL,
	pairs integer NOT NULL,
	state integer DEFAULT 0 NOT NULL,
	PRIMARY KEY(job, n)
) STRICT, WITHOUT ROWID;
CREATE INDEX tile_open ON tile (job,n) WHERE state = 0;
CREATE INDEX tile_completable ON tile (job,n) WHERE state = 0 and shards_left = 0;

CREATE TABLE tile_abandoned (
	job blob NOT NULL,
	first integer NOT NULL,
	last integer NOT NULL,
	rec blob NOT NULL,
	cause text NOT NULL,
	detail text NOT NULL,
	PRIMARY KEY(job, first, last, rec)
) STRICT, WITHOUT ROWID;

CREATE TABLE tile_complete (
	id blob PRIMARY KEY NOT NULL,
	job blob NOT NULL,
	tile integer NOT NULL,
	shards integer NOT NULL,
	held text,
	done integer DEFAULT 0 NOT NULL,
	cursor blob
) STRICT, WITHOUT ROWID;
CREATE INDEX tile_complete_todo ON tile_complete (id) WHERE done < 3 and held is null;
CREATE INDEX tile_complete_of ON tile_complete (job,tile);

CREATE TABLE tile_need (
	tc blob NOT NULL,
	shard integer NOT NULL,
	report blob NOT NULL,
	PRIMARY KEY(tc, shard)
) STRICT, WITHOUT ROWID;
CREATE INDEX tile_need_report ON tile_need (report);

INSERT INTO keeper(id) VALUES (1);

-- The verdict of a service from its misses (the rule stands here once; triggers and audits use it).
-- A chain of misses is followed backwards from job m: job k stands before job c when c's frontier holds a tile-complete of k's tile.
CREATE VIEW verdict AS SELECT s.ip, s.port, s.proto, CASE
  WHEN NOT EXISTS (SELECT 1 FROM miss m WHERE m.ip = s.ip AND m.port = s.port AND m.proto = s.proto) THEN 0
  WHEN EXISTS (
    SELECT 1 FROM miss m CROSS JOIN job j ON j.id = m.job
    WHERE m.ip = s.ip AND m.port = s.port AND m.proto = s.proto
      AND j.confirm = 0
      AND j.close_after <= (SELECT count(*) FROM miss k WHERE k.ip = s.ip AND k.port = s.port AND k.proto = s.proto)
      AND (j.close_after = 1 OR EXISTS (
        WITH RECURSIVE chain(job, length) AS (
          SELECT m.job, 1
          UNION
          SELECT k.job, c.length + 1
          FROM chain c CROSS JOIN miss k ON k.ip = s.ip AND k.port = s.port AND k.proto = s.proto
          WHERE c.length < j.close_after AND k.job <> c.job AND EXISTS (
            SELECT 1 FROM tile_complete t CROSS JOIN record r ON r.id = t.id CROSS JOIN frontier f ON f.rec = c.job AND f.log = r.log
            WHERE t.job = k.job AND t.tile = k.tile AND r.rseq <= f.upto))
        SELECT 1 FROM chain c WHERE c.length = j.close_after))
  ) THEN 2
  ELSE 1 END AS state
FROM service s;

CREATE TRIGGER keeper_claimed BEFORE UPDATE OF claim ON keeper WHEN new.claim <> old.epoch
BEGIN
  SELECT raise(ABORT, 'portolan: the keeper lease was taken over');
END;

-- A sighting that comes now lies above every frontier that counts already, so it overrules all misses of its service.
CREATE TRIGGER sighting_first AFTER INSERT ON sighting
BEGIN
  INSERT INTO service(ip, port, proto, since_ms) VALUES (new.ip, new.port, new.proto, (SELECT stamp_ms FROM keeper WHERE id = 1))
    ON CONFLICT DO UPDATE SET state = 0, doubt = 0, reopened = iif(state = 2, 1, reopened), since_ms = excluded.since_ms WHERE doubt = 1;
END;

CREATE TRIGGER sighting_again AFTER UPDATE OF last_rseq ON sighting WHEN new.last_rseq > old.last_rseq
BEGIN
  UPDATE service SET state = 0, doubt = 0, reopened = iif(state = 2, 1, reopened), since_ms = (SELECT stamp_ms FROM keeper WHERE id = 1)
    WHERE ip = new.ip AND port = new.port AND proto = new.proto AND doubt = 1;
END;

CREATE TRIGGER service_sure AFTER UPDATE OF doubt ON service WHEN old.doubt = 1 AND new.doubt = 0
BEGIN
  DELETE FROM miss WHERE ip = new.ip AND port = new.port AND proto = new.proto;
END;

CREATE TRIGGER miss_made AFTER INSERT ON miss
BEGIN
  UPDATE service SET doubt = 1, state = v.state, since_ms = iif(service.state = v.state, since_ms, (SELECT stamp_ms FROM keeper WHERE id = 1))
    FROM (SELECT state FROM verdict WHERE ip = new.ip AND port = new.port AND proto = new.proto) v
    WHERE ip = new.ip AND port = new.port AND proto = new.proto;
END;

-- Only a taken-back miss comes here with a doubt left: a sighting clears the doubt first.
CREATE TRIGGER miss_withdrawn AFTER DELETE ON miss
  WHEN (SELECT doubt FROM service WHERE ip = old.ip AND port = old.port AND proto = old.proto) = 1
BEGIN
  UPDATE service SET doubt = (v.state > 0), state = v.state, since_ms = iif(service.state = v.state, since_ms, (SELECT stamp_ms FROM keeper WHERE id = 1))
    FROM (SELECT state FROM verdict WHERE ip = old.ip AND port = old.port AND proto = old.proto) v
    WHERE ip = old.ip AND port = old.port AND proto = old.proto;
END;

CREATE TRIGGER service_made AFTER INSERT ON service
BEGIN
  INSERT INTO change(ip, port, proto, was, state, at_ms) VALUES (new.ip, new.port, new.proto, NULL, new.state, new.since_ms);
  INSERT INTO tally(port, proto, state, known, n) VALUES (new.port, new.proto, new.state, new.known, 1) ON CONFLICT DO UPDATE SET n = n + 1;
END;

CREATE TRIGGER service_changed AFTER UPDATE OF state ON service WHEN old.state <> new.state
BEGIN
  INSERT INTO change(ip, port, proto, was, state, at_ms) VALUES (new.ip, new.port, new.proto, old.state, new.state, new.since_ms);
END;

CREATE TRIGGER service_moved AFTER UPDATE OF state, known ON service WHEN old.state <> new.state OR old.known <> new.known
BEGIN
  UPDATE tally SET n = n - 1 WHERE port = old.port AND proto = old.proto AND state = old.state AND known = old.known;
  INSERT INTO tally(port, proto, state, known, n) VALUES (new.port, new.proto, new.state, new.known, 1) ON CONFLICT DO UPDATE SET n = n + 1;
END;

CREATE TRIGGER assignment_settled AFTER UPDATE OF state ON assignment WHEN old.state <> new.state
BEGIN
  UPDATE tile SET shards_left = shards_left + old.state - new.state WHERE job = new.job AND n = new.tile;
END;

CREATE TRIGGER tile_settled AFTER UPDATE OF state ON tile WHEN old.state <> new.state
BEGIN
  UPDATE job SET tiles_complete = tiles_complete + (new.state = 1) - (old.state = 1),
    tiles_abandoned = tiles_abandoned + (new.state = 2) - (old.state = 2) WHERE id = new.job;
  UPDATE job SET ended_at_ms = (SELECT stamp_ms FROM keeper WHERE id = 1)
    WHERE id = new.job AND ended_at_ms IS NULL AND tiles_complete + tiles_abandoned = tiles;
END;
