-- Tables and indexes follow src/ledger/schema (a test compares them).

CREATE TABLE assignment (
	job blob NOT NULL,
	tile integer NOT NULL,
	shard integer NOT NULL,
	scanner text NOT NULL,
	original text NOT NULL,
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

CREATE TABLE confirm (
	ip blob NOT NULL,
	port integer NOT NULL,
	proto integer NOT NULL,
	probe blob NOT NULL,
	PRIMARY KEY(ip, port, proto, probe)
) STRICT, WITHOUT ROWID;

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
	paused integer DEFAULT 0 NOT NULL,
	ended_at_ms integer
) STRICT, WITHOUT ROWID;
CREATE INDEX job_planned ON job (planned_at_ms,id);
CREATE INDEX job_plan ON job (plan_id,planned_at_ms);
CREATE INDEX job_uncut ON job (planned_at_ms) WHERE tiles_made < tiles;
CREATE INDEX job_running ON job (planned_at_ms,id) WHERE ended_at_ms is null;

CREATE TABLE job_control (
	job blob NOT NULL,
	rec blob NOT NULL,
	log integer NOT NULL,
	rseq integer NOT NULL,
	stamp_ms integer NOT NULL,
	pauses integer NOT NULL,
	said_by text NOT NULL,
	PRIMARY KEY(job, rec, log)
) STRICT, WITHOUT ROWID;

CREATE TABLE job_member (
	job blob NOT NULL,
	region text NOT NULL,
	scanner text NOT NULL,
	PRIMARY KEY(job, region, scanner)
) STRICT, WITHOUT ROWID;

CREATE TABLE job_region (
	job blob NOT NULL,
	region text NOT NULL,
	listed integer NOT NULL,
	PRIMARY KEY(job, region)
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
	last_stamp_ms integer DEFAULT 0 NOT NULL,
	retired text
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

CREATE TABLE peer (
	region text PRIMARY KEY NOT NULL,
	checkpoint integer DEFAULT 0 NOT NULL,
	contact_ms integer DEFAULT 0 NOT NULL,
	behind integer DEFAULT 0 NOT NULL,
	equal_at_ms integer,
	alarm text
) STRICT, WITHOUT ROWID;

CREATE TABLE port_set (
	id blob NOT NULL,
	proto integer NOT NULL,
	hi integer NOT NULL,
	lo integer NOT NULL,
	PRIMARY KEY(id, proto, hi)
) STRICT, WITHOUT ROWID;

CREATE TABLE probe (
	id blob PRIMARY KEY NOT NULL,
	region text NOT NULL,
	scanner text NOT NULL,
	basis integer NOT NULL,
	signer integer NOT NULL,
	job blob NOT NULL,
	done integer DEFAULT 0 NOT NULL,
	stamp_ms integer NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX probe_todo ON probe (id) WHERE done < 3;
CREATE INDEX probe_signer ON probe (signer,id);

CREATE TABLE probe_result (
	probe blob NOT NULL,
	ip blob NOT NULL,
	port integer NOT NULL,
	proto integer NOT NULL,
	answer integer NOT NULL,
	PRIMARY KEY(probe, ip, port, proto, answer)
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

CREATE TABLE published (
	id integer PRIMARY KEY NOT NULL,
	log integer NOT NULL,
	rseq integer NOT NULL,
	seq integer NOT NULL,
	CONSTRAINT published_one CHECK(published.id = 1)
) STRICT;

CREATE TABLE range_set (
	id blob NOT NULL,
	lo blob NOT NULL,
	hi blob NOT NULL,
	PRIMARY KEY(id, lo)
) STRICT, WITHOUT ROWID;

CREATE TABLE reassignment (
	job blob NOT NULL,
	tile integer NOT NULL,
	shard integer NOT NULL,
	attempt integer NOT NULL,
	rec blob NOT NULL,
	scanner text NOT NULL,
	PRIMARY KEY(job, tile, shard, attempt, rec)
) STRICT, WITHOUT ROWID;

CREATE TABLE record (
	n integer PRIMARY KEY NOT NULL,
	log integer NOT NULL,
	rseq integer NOT NULL,
	id blob NOT NULL,
	kind text NOT NULL,
	stamp_ms integer NOT NULL,
	judged text,
	chain blob NOT NULL,
	signature text NOT NULL,
	author text NOT NULL,
	body text NOT NULL,
	payload blob,
	zstd integer NOT NULL
) STRICT;
CREATE UNIQUE INDEX record_position ON record (log,rseq);
CREATE UNIQUE INDEX record_id ON record (id,log);

CREATE TABLE tile_release (
	tc blob NOT NULL,
	rec blob NOT NULL,
	job blob NOT NULL,
	tile integer NOT NULL,
	cause text NOT NULL,
	said_by text NOT NULL,
	agreeing blob,
	PRIMARY KEY(tc, rec)
) STRICT, WITHOUT ROWID;

CREATE TABLE relook (
	ip blob NOT NULL,
	port integer NOT NULL,
	proto integer NOT NULL,
	taken integer DEFAULT 0 NOT NULL,
	PRIMARY KEY(ip, port, proto)
) STRICT, WITHOUT ROWID;
CREATE INDEX relook_waiting ON relook (ip) WHERE taken = 0;

CREATE TABLE relook_pass (
	id integer PRIMARY KEY NOT NULL,
	cursor blob NOT NULL,
	CONSTRAINT relook_pass_one CHECK(relook_pass.id = 1)
) STRICT;

CREATE TABLE report (
	id blob PRIMARY KEY NOT NULL,
	job blob NOT NULL,
	tile integer NOT NULL,
	shard integer NOT NULL,
	attempt integer NOT NULL,
	scanner text NOT NULL,
	signer integer NOT NULL,
	run text NOT NULL,
	complete integer NOT NULL,
	void integer DEFAULT 0 NOT NULL,
	problem text,
	sightings integer NOT NULL,
	probes_sent integer NOT NULL,
	started_at_ms integer NOT NULL,
	ended_at_ms integer NOT NULL,
	stamp_ms integer NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX report_of ON report (job,tile,shard);
CREATE INDEX report_run ON report (run);
CREATE INDEX report_signer ON report (signer,id);

CREATE TABLE report_part (
	report blob NOT NULL,
	part blob NOT NULL,
	PRIMARY KEY(report, part)
) STRICT, WITHOUT ROWID;

CREATE TABLE deny (
	id blob PRIMARY KEY NOT NULL,
	ranges text NOT NULL,
	ports text,
	reason text NOT NULL,
	said_by text NOT NULL,
	expires_at_ms integer,
	at_ms integer NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE deny_lift (
	deny blob NOT NULL,
	rec blob NOT NULL,
	reason text NOT NULL,
	said_by text NOT NULL,
	at_ms integer NOT NULL,
	PRIMARY KEY(deny, rec)
) STRICT, WITHOUT ROWID;

CREATE TABLE scanner_lost (
	scanner text PRIMARY KEY NOT NULL,
	region text NOT NULL,
	last_heard_ms integer NOT NULL,
	stamp_ms integer NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE scanner_heard (
	scanner text PRIMARY KEY NOT NULL,
	region text NOT NULL,
	engines text NOT NULL,
	masscan_version text NOT NULL,
	stamp_ms integer NOT NULL
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
CREATE INDEX service_good ON service (ip,port,proto) WHERE known = 1;
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
	own_rseq integer NOT NULL,
	signer integer NOT NULL,
	PRIMARY KEY(ip, port, proto, log)
) STRICT, WITHOUT ROWID;

CREATE TABLE signer (
	n integer PRIMARY KEY NOT NULL,
	key text NOT NULL,
	name text NOT NULL,
	revoked integer DEFAULT 0 NOT NULL,
	cursor blob,
	last_stamp_ms integer DEFAULT 0 NOT NULL
) STRICT;
CREATE UNIQUE INDEX signer_key_unique ON signer (key);
CREATE INDEX signer_revoking ON signer (n) WHERE revoked = 1;
CREATE INDEX signer_name ON signer (name);

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
CREATE INDEX tile_complete_todo ON tile_complete (id) WHERE done < 3;
CREATE INDEX tile_complete_held ON tile_complete (job,tile) WHERE done = 5;
CREATE INDEX tile_complete_of ON tile_complete (job,tile);

CREATE TABLE tile_look (
	job blob NOT NULL,
	tile integer NOT NULL,
	open integer NOT NULL,
	missed integer NOT NULL,
	overruled integer NOT NULL,
	PRIMARY KEY(job, tile)
) STRICT, WITHOUT ROWID;

CREATE TABLE tile_need (
	tc blob NOT NULL,
	shard integer NOT NULL,
	report blob NOT NULL,
	PRIMARY KEY(tc, shard)
) STRICT, WITHOUT ROWID;
CREATE INDEX tile_need_report ON tile_need (report);

INSERT INTO keeper(id) VALUES (1);

-- Misses, and whether a chain of enough misses in sequence ends with each. It is followed backwards: job k stands before job c
-- when c's frontier holds a tile-complete of k's tile.
CREATE VIEW miss_chain AS SELECT m.ip, m.port, m.proto, m.job, m.tile, j.confirm, j.close_after = 1 OR (
  j.close_after <= (SELECT count(*) FROM miss k WHERE k.ip = m.ip AND k.port = m.port AND k.proto = m.proto)
  AND EXISTS (
    WITH RECURSIVE chain(job, length) AS (
      SELECT m.job, 1
      UNION
      SELECT k.job, c.length + 1
      FROM chain c CROSS JOIN miss k ON k.ip = m.ip AND k.port = m.port AND k.proto = m.proto
      WHERE c.length < j.close_after AND k.job <> c.job AND EXISTS (
        SELECT 1 FROM tile_complete t CROSS JOIN record r ON r.id = t.id CROSS JOIN frontier f ON f.rec = c.job AND f.log = r.log
        WHERE t.job = k.job AND t.tile = k.tile AND r.rseq <= f.upto))
    SELECT 1 FROM chain c WHERE c.length = j.close_after)) AS enough
FROM miss m CROSS JOIN job j ON j.id = m.job;

-- Confirms that come after a miss: the order's frontier holds a tile-complete of the missing job's tile.
CREATE VIEW miss_confirmed AS SELECT m.ip, m.port, m.proto, m.job, p.region, p.basis, p.scanner
FROM miss m CROSS JOIN confirm c ON c.ip = m.ip AND c.port = m.port AND c.proto = m.proto CROSS JOIN probe p ON p.id = c.probe
WHERE EXISTS (
  SELECT 1 FROM tile_complete t CROSS JOIN record r ON r.id = t.id CROSS JOIN frontier f ON f.rec = p.id AND f.log = r.log
  WHERE t.job = m.job AND t.tile = m.tile AND r.rseq <= f.upto);

-- Regions that have to confirm a miss and have not: those on the job's list with a sighting of their own, or else its home.
-- One probe by the last sighter confirms, or probes by two other scanners.
CREATE VIEW miss_unconfirmed AS SELECT m.ip, m.port, m.proto, m.job, a.region
FROM miss m CROSS JOIN job j ON j.id = m.job CROSS JOIN job_region a ON a.job = m.job
WHERE iif(
    EXISTS (SELECT 1 FROM sighting g CROSS JOIN log l ON l.n = g.log CROSS JOIN job_region b ON b.job = m.job AND b.region = l.region
      WHERE g.ip = m.ip AND g.port = m.port AND g.proto = m.proto AND g.own_rseq >= 0 AND b.listed = 1),
    a.listed = 1 AND EXISTS (SELECT 1 FROM sighting g CROSS JOIN log l ON l.n = g.log
      WHERE g.ip = m.ip AND g.port = m.port AND g.proto = m.proto AND g.own_rseq >= 0 AND l.region = a.region),
    a.region = j.home)
  AND NOT EXISTS (
    SELECT 1 FROM miss_confirmed c WHERE c.ip = m.ip AND c.port = m.port AND c.proto = m.proto AND c.job = m.job AND c.region = a.region AND c.basis = 0)
  AND (
    SELECT count(DISTINCT c.scanner) FROM miss_confirmed c
    WHERE c.ip = m.ip AND c.port = m.port AND c.proto = m.proto AND c.job = m.job AND c.region = a.region AND c.basis = 1) < 2;

-- Scanners that were lost, and that nothing was heard of since: no sign of life here, no word of their region's keeper, and nothing
-- that they signed.
CREATE VIEW scanner_away AS SELECT l.scanner, l.region, l.last_heard_ms, l.stamp_ms FROM scanner_lost l
WHERE NOT EXISTS (SELECT 1 FROM heartbeat h WHERE h.scanner = l.scanner AND h.at_ms > l.stamp_ms)
  AND NOT EXISTS (SELECT 1 FROM scanner_heard b WHERE b.scanner = l.scanner AND b.stamp_ms > l.stamp_ms)
  AND NOT EXISTS (SELECT 1 FROM signer k WHERE k.name = l.scanner AND k.last_stamp_ms > l.stamp_ms);

-- Running jobs none of whose open shards can run, and why.
CREATE VIEW job_blocked AS SELECT * FROM (SELECT j.id, j.planned_at_ms, j.plan, j.home, CASE
  WHEN j.paused = 1 THEN 'paused by ' || coalesce((SELECT c.said_by FROM job_control c CROSS JOIN log l ON l.n = c.log
    WHERE c.job = j.id AND l.region = j.home ORDER BY c.stamp_ms DESC, c.rseq DESC, l.id LIMIT 1), '?')
  WHEN NOT EXISTS (SELECT 1 FROM assignment a INDEXED BY assignment_open WHERE a.job = j.id AND a.state = 0) THEN NULL
  WHEN NOT EXISTS (SELECT 1 FROM assignment a INDEXED BY assignment_open WHERE a.job = j.id AND a.state = 0 AND a.attempt <= 20)
    THEN 'every open shard was tried 20 times'
  WHEN NOT EXISTS (SELECT 1 FROM job_member m WHERE m.job = j.id AND m.scanner NOT IN (SELECT w.scanner FROM scanner_away w)
      AND EXISTS (SELECT 1 FROM assignment a INDEXED BY assignment_open WHERE a.job = j.id AND a.scanner = m.scanner AND a.state = 0))
    THEN 'no live scanner in group ' || j.scanner_group || '; start one where it is installed: npm run scanner -- FILE (or npm start for a whole region), or add another: portolan scanner add'
  END AS why FROM job j WHERE j.ended_at_ms IS NULL) WHERE why IS NOT NULL;

-- The verdict of a service (the rule stands here once; triggers and audits use it).
CREATE VIEW verdict AS SELECT s.ip, s.port, s.proto, CASE
  WHEN NOT EXISTS (SELECT 1 FROM miss m WHERE m.ip = s.ip AND m.port = s.port AND m.proto = s.proto) THEN 0
  WHEN EXISTS (
    SELECT 1 FROM miss_chain m
    WHERE m.ip = s.ip AND m.port = s.port AND m.proto = s.proto AND CASE
      WHEN m.confirm = 0 THEN m.enough
      -- Cheap and most frequent: someone always has to confirm.
      WHEN NOT EXISTS (SELECT 1 FROM confirm c WHERE c.ip = s.ip AND c.port = s.port AND c.proto = s.proto) THEN 0
      ELSE m.enough AND NOT EXISTS (
        SELECT 1 FROM miss_unconfirmed u WHERE u.ip = s.ip AND u.port = s.port AND u.proto = s.proto AND u.job = m.job) END
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
  DELETE FROM confirm WHERE ip = new.ip AND port = new.port AND proto = new.proto;
END;

-- Cheap and most frequent: the first miss of a service that no confirm exists of, under a policy that asks for more. (Whichever
-- of these two comes first, the result is the same.)
CREATE TRIGGER miss_first AFTER INSERT ON miss
BEGIN
  UPDATE service SET doubt = 1, state = 1, since_ms = (SELECT stamp_ms FROM keeper WHERE id = 1)
    WHERE ip = new.ip AND port = new.port AND proto = new.proto AND doubt = 0
      AND (SELECT close_after > 1 OR confirm = 1 FROM job WHERE id = new.job);
END;

CREATE TRIGGER miss_made AFTER INSERT ON miss
  WHEN (SELECT doubt FROM service WHERE ip = new.ip AND port = new.port AND proto = new.proto) = 1
    OR (SELECT close_after = 1 AND confirm = 0 FROM job WHERE id = new.job) = 1
BEGIN
  UPDATE service SET doubt = 1, state = v.state, since_ms = iif(service.state = v.state, since_ms, (SELECT stamp_ms FROM keeper WHERE id = 1))
    FROM (SELECT state FROM verdict WHERE ip = new.ip AND port = new.port AND proto = new.proto) v
    WHERE ip = new.ip AND port = new.port AND proto = new.proto;
END;

CREATE TRIGGER confirm_made AFTER INSERT ON confirm
BEGIN
  UPDATE service SET doubt = 1, state = v.state, since_ms = iif(service.state = v.state, since_ms, (SELECT stamp_ms FROM keeper WHERE id = 1))
    FROM (SELECT state FROM verdict WHERE ip = new.ip AND port = new.port AND proto = new.proto) v
    WHERE ip = new.ip AND port = new.port AND proto = new.proto;
END;

-- Only what is taken back comes here with a doubt left: a sighting clears the doubt first. A service that was closed was left
-- out by later passes, so they have to look at it again.
CREATE TRIGGER miss_withdrawn AFTER DELETE ON miss
  WHEN (SELECT doubt FROM service WHERE ip = old.ip AND port = old.port AND proto = old.proto) = 1
BEGIN
  INSERT INTO relook(ip, port, proto) SELECT s.ip, s.port, s.proto FROM service s
    WHERE s.ip = old.ip AND s.port = old.port AND s.proto = old.proto AND s.state = 2
      AND (SELECT v.state FROM verdict v WHERE v.ip = old.ip AND v.port = old.port AND v.proto = old.proto) < 2
    ON CONFLICT DO UPDATE SET taken = 0;
  UPDATE service SET state = v.state, since_ms = iif(service.state = v.state, since_ms, (SELECT stamp_ms FROM keeper WHERE id = 1)),
      doubt = (EXISTS (SELECT 1 FROM miss m WHERE m.ip = old.ip AND m.port = old.port AND m.proto = old.proto)
        OR EXISTS (SELECT 1 FROM confirm c WHERE c.ip = old.ip AND c.port = old.port AND c.proto = old.proto))
    FROM (SELECT state FROM verdict WHERE ip = old.ip AND port = old.port AND proto = old.proto) v
    WHERE ip = old.ip AND port = old.port AND proto = old.proto;
END;

CREATE TRIGGER confirm_withdrawn AFTER DELETE ON confirm
  WHEN (SELECT doubt FROM service WHERE ip = old.ip AND port = old.port AND proto = old.proto) = 1
BEGIN
  INSERT INTO relook(ip, port, proto) SELECT s.ip, s.port, s.proto FROM service s
    WHERE s.ip = old.ip AND s.port = old.port AND s.proto = old.proto AND s.state = 2
      AND (SELECT v.state FROM verdict v WHERE v.ip = old.ip AND v.port = old.port AND v.proto = old.proto) < 2
    ON CONFLICT DO UPDATE SET taken = 0;
  UPDATE service SET state = v.state, since_ms = iif(service.state = v.state, since_ms, (SELECT stamp_ms FROM keeper WHERE id = 1)),
      doubt = (EXISTS (SELECT 1 FROM miss m WHERE m.ip = old.ip AND m.port = old.port AND m.proto = old.proto)
        OR EXISTS (SELECT 1 FROM confirm c WHERE c.ip = old.ip AND c.port = old.port AND c.proto = old.proto))
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
