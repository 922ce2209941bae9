-- The feed of changes, what was ever covered, where the tiles of equal jobs lie, and work that rebuilds the register.
-- Tables and indexes follow src/ledger/schema/feed.ts (a test compares them).

DROP TRIGGER service_changed;
DROP TRIGGER service_made;
DROP TABLE change;

CREATE TABLE change (
	n integer PRIMARY KEY NOT NULL,
	kind integer NOT NULL,
	ip blob,
	port integer,
	proto integer,
	was integer,
	state integer,
	job blob,
	cause integer,
	at_ms integer NOT NULL
) STRICT;

CREATE TABLE covered (
	port_set blob NOT NULL,
	hi blob NOT NULL,
	lo blob NOT NULL,
	PRIMARY KEY(port_set, hi)
) STRICT, WITHOUT ROWID;

CREATE TABLE covered_shape (
	port_set blob NOT NULL,
	range_set blob NOT NULL,
	last_ms integer NOT NULL,
	PRIMARY KEY(port_set, range_set)
) STRICT, WITHOUT ROWID;

CREATE TABLE covered_ports (
	port_set blob PRIMARY KEY NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE job_layout (
	job blob PRIMARY KEY NOT NULL,
	layout integer NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX job_layout_of ON job_layout (layout,job);

CREATE TABLE layout (
	n integer PRIMARY KEY NOT NULL,
	id blob NOT NULL
) STRICT;
CREATE UNIQUE INDEX layout_id_unique ON layout (id);

CREATE TABLE layout_range (
	layout integer NOT NULL,
	hi blob NOT NULL,
	lo blob NOT NULL,
	tile integer NOT NULL,
	PRIMARY KEY(layout, hi)
) STRICT, WITHOUT ROWID;

CREATE TABLE layout_tile (
	layout integer NOT NULL,
	tile integer NOT NULL,
	port_set blob NOT NULL,
	range_set blob NOT NULL,
	PRIMARY KEY(layout, tile)
) STRICT, WITHOUT ROWID;

CREATE TABLE part_of (
	job blob NOT NULL,
	tile integer NOT NULL,
	rec integer NOT NULL,
	PRIMARY KEY(job, tile, rec)
) STRICT, WITHOUT ROWID;

CREATE INDEX probe_result_of ON probe_result (ip,port,proto,probe);

CREATE TABLE rebuild (
	id integer PRIMARY KEY NOT NULL,
	next integer NOT NULL,
	upto integer NOT NULL,
	tiles blob,
	CONSTRAINT rebuild_one CHECK(id = 1)
) STRICT;

CREATE TABLE revoke_of (
	key text NOT NULL,
	rec integer NOT NULL,
	PRIMARY KEY(key, rec)
) STRICT, WITHOUT ROWID;

CREATE TABLE rule_port (
	kind integer NOT NULL,
	rule integer NOT NULL,
	proto integer NOT NULL,
	hi integer NOT NULL,
	lo integer NOT NULL,
	PRIMARY KEY(kind, rule, proto, hi)
) STRICT, WITHOUT ROWID;

CREATE TABLE rule_range (
	kind integer NOT NULL,
	rule integer NOT NULL,
	hi blob NOT NULL,
	lo blob NOT NULL,
	PRIMARY KEY(kind, rule, hi)
) STRICT, WITHOUT ROWID;

CREATE TABLE rule_set (
	kind integer PRIMARY KEY NOT NULL,
	version integer NOT NULL,
	hash text NOT NULL,
	done integer NOT NULL,
	cursor blob
) STRICT, WITHOUT ROWID;

CREATE TABLE unmonitored (
	ip blob NOT NULL,
	port integer NOT NULL,
	proto integer NOT NULL,
	since_ms integer NOT NULL,
	PRIMARY KEY(ip, port, proto)
) STRICT, WITHOUT ROWID;

CREATE TABLE upload_of (
	rec integer PRIMARY KEY NOT NULL
) STRICT;

-- Whether any tile that counted ever held the pair. Intervals of one port set do not contain each other, so the first one that
-- ends at or above an address is the only one that has to be looked at.
CREATE VIEW service_covered AS SELECT s.ip, s.port, s.proto, EXISTS (
  SELECT 1 FROM covered_ports c
  WHERE (SELECT p.lo FROM port_set p WHERE p.id = c.port_set AND p.proto = s.proto AND p.hi >= s.port ORDER BY p.hi LIMIT 1) <= s.port
    AND (SELECT v.lo FROM covered v WHERE v.port_set = c.port_set AND v.hi >= s.ip ORDER BY v.hi LIMIT 1) <= s.ip) AS covered
FROM service s;

-- Services in the rules of each kind: 0 what the plans cover, 1 known-good.
CREATE VIEW service_rule AS SELECT s.ip, s.port, s.proto, k.kind, EXISTS (
  SELECT 1 FROM (SELECT DISTINCT rule FROM rule_port WHERE kind = k.kind) c
  WHERE (SELECT p.lo FROM rule_port p WHERE p.kind = k.kind AND p.rule = c.rule AND p.proto = s.proto AND p.hi >= s.port ORDER BY p.hi LIMIT 1) <= s.port
    AND (SELECT v.lo FROM rule_range v WHERE v.kind = k.kind AND v.rule = c.rule AND v.hi >= s.ip ORDER BY v.hi LIMIT 1) <= s.ip) AS matches
FROM service s CROSS JOIN rule_set k;

-- Records that news about a service may be due to: tile-completes of its misses, releases that let them count, probes.
CREATE VIEW cause_miss AS
SELECT m.ip, m.port, m.proto, m.job, (
  SELECT max(r.n) FROM tile_complete t CROSS JOIN record r ON r.id = t.id WHERE t.job = m.job AND t.tile = m.tile) AS n
FROM miss m
UNION ALL
SELECT m.ip, m.port, m.proto, m.job, (
  SELECT max(r.n) FROM tile_complete t CROSS JOIN tile_release x ON x.tc = t.id CROSS JOIN record r ON r.id = x.rec WHERE t.job = m.job AND t.tile = m.tile)
FROM miss m
UNION ALL
SELECT c.ip, c.port, c.proto, p.job, (SELECT max(r.n) FROM record r WHERE r.id = c.probe)
FROM confirm c CROSS JOIN probe p ON p.id = c.probe;

CREATE TRIGGER service_made AFTER INSERT ON service
BEGIN
  INSERT INTO tally(port, proto, state, known, n) VALUES (new.port, new.proto, new.state, new.known, 1) ON CONFLICT DO UPDATE SET n = n + 1;
END;

CREATE TRIGGER service_news AFTER INSERT ON service WHEN NOT EXISTS (SELECT 1 FROM rebuild)
BEGIN
  INSERT INTO change(kind, ip, port, proto, was, state, cause, at_ms) VALUES (
    EXISTS (
      SELECT 1 FROM covered_ports c
      WHERE (SELECT v.lo FROM covered v WHERE v.port_set = c.port_set AND v.hi >= new.ip ORDER BY v.hi LIMIT 1) <= new.ip
        AND (SELECT p.lo FROM port_set p WHERE p.id = c.port_set AND p.proto = new.proto AND p.hi >= new.port ORDER BY p.hi LIMIT 1) <= new.port),
    new.ip, new.port, new.proto, NULL, new.state, (
      SELECT max((SELECT r.n FROM record r WHERE r.log = g.log AND r.rseq = g.last_rseq)) FROM sighting g
      WHERE g.ip = new.ip AND g.port = new.port AND g.proto = new.proto),
    new.since_ms);
END;

-- Before the change, because what is overruled is deleted after it: without misses and confirms left, something was taken back.
CREATE TRIGGER service_opens BEFORE UPDATE OF state ON service
  WHEN old.state <> new.state AND new.state = 0 AND NOT EXISTS (SELECT 1 FROM rebuild)
BEGIN
  INSERT INTO change(kind, ip, port, proto, was, state, cause, at_ms) VALUES (
    iif(old.state = 2, 2, 3), new.ip, new.port, new.proto, old.state, 0, (
      SELECT max((SELECT r.n FROM record r WHERE r.log = g.log AND r.rseq = g.last_rseq)) FROM sighting g
      WHERE g.ip = new.ip AND g.port = new.port AND g.proto = new.proto
        AND EXISTS (SELECT 1 FROM miss m WHERE m.ip = new.ip AND m.port = new.port AND m.proto = new.proto)),
    new.since_ms);
END;

CREATE TRIGGER service_fades BEFORE UPDATE OF state ON service
  WHEN old.state <> new.state AND new.state > 0 AND NOT EXISTS (SELECT 1 FROM rebuild)
BEGIN
  INSERT INTO change(kind, ip, port, proto, was, state, job, cause, at_ms)
    -- Beside a bare max(), SQLite takes the other columns from the same row; without any row both are null.
    SELECT iif(new.state = 2, 5, 4), new.ip, new.port, new.proto, old.state, new.state, m.job, max(m.n), new.since_ms
    FROM cause_miss m WHERE old.state < new.state AND m.ip = new.ip AND m.port = new.port AND m.proto = new.proto;
  INSERT INTO change(kind, ip, port, proto, was, state, job, cause, at_ms)
    SELECT 7, ip, port, proto, was, state, job, cause, at_ms FROM change
    WHERE new.state = 2 AND new.known = 1 AND n = (SELECT max(n) FROM change);
END;

CREATE TRIGGER service_known AFTER INSERT ON service WHEN EXISTS (SELECT 1 FROM rule_range WHERE kind = 1)
BEGIN
  UPDATE service SET known = 1 WHERE ip = new.ip AND port = new.port AND proto = new.proto
    AND (SELECT matches FROM service_rule r WHERE r.kind = 1 AND r.ip = new.ip AND r.port = new.port AND r.proto = new.proto) = 1;
END;

-- A rule that expects what is closed already.
CREATE TRIGGER service_expected AFTER UPDATE OF known ON service
  WHEN old.known = 0 AND new.known = 1 AND new.state = 2 AND NOT EXISTS (SELECT 1 FROM rebuild)
BEGIN
  INSERT INTO change(kind, ip, port, proto, was, state, at_ms)
    VALUES (7, new.ip, new.port, new.proto, new.state, new.state, (SELECT stamp_ms FROM keeper WHERE id = 1));
END;

CREATE TRIGGER service_unmonitored AFTER INSERT ON unmonitored WHEN NOT EXISTS (SELECT 1 FROM rebuild)
BEGIN
  INSERT INTO change(kind, ip, port, proto, was, state, at_ms)
    SELECT 6, s.ip, s.port, s.proto, s.state, s.state, new.since_ms FROM service s
    WHERE s.ip = new.ip AND s.port = new.port AND s.proto = new.proto;
END;

CREATE TRIGGER tile_held AFTER INSERT ON tile_complete WHEN new.held IS NOT NULL AND NOT EXISTS (SELECT 1 FROM rebuild)
BEGIN
  INSERT INTO change(kind, job, cause, at_ms)
    VALUES (8, new.job, (SELECT max(r.n) FROM record r WHERE r.id = new.id), (SELECT stamp_ms FROM keeper WHERE id = 1));
END;

CREATE TRIGGER tile_counts AFTER UPDATE OF done ON tile_complete WHEN new.done = 1 AND old.done <> 1
BEGIN
  INSERT INTO covered_ports(port_set) SELECT port_set FROM tile WHERE job = new.job AND n = new.tile ON CONFLICT DO NOTHING;
  DELETE FROM covered WHERE (port_set, hi) IN (
    SELECT c.port_set, c.hi FROM tile t CROSS JOIN range_set a ON a.id = t.range_set
      CROSS JOIN covered c ON c.port_set = t.port_set AND c.hi >= a.lo AND c.hi <= a.hi
    WHERE t.job = new.job AND t.n = new.tile AND c.lo > a.lo
      AND NOT EXISTS (SELECT 1 FROM covered_shape k WHERE k.port_set = t.port_set AND k.range_set = t.range_set));
  INSERT INTO covered(port_set, hi, lo)
    SELECT t.port_set, a.hi, a.lo FROM tile t CROSS JOIN range_set a ON a.id = t.range_set
    WHERE t.job = new.job AND t.n = new.tile
      AND NOT EXISTS (SELECT 1 FROM covered_shape k WHERE k.port_set = t.port_set AND k.range_set = t.range_set)
      AND NOT coalesce((SELECT c.lo FROM covered c WHERE c.port_set = t.port_set AND c.hi >= a.hi ORDER BY c.hi LIMIT 1) <= a.lo, 0)
    ON CONFLICT DO UPDATE SET lo = min(lo, excluded.lo);
  INSERT INTO covered_shape(port_set, range_set, last_ms)
    SELECT t.port_set, t.range_set, (SELECT max(r.stamp_ms) FROM record r WHERE r.id = new.id) FROM tile t WHERE t.job = new.job AND t.n = new.tile
    ON CONFLICT DO UPDATE SET last_ms = max(last_ms, excluded.last_ms);
END;

-- While the register is rebuilt nothing counts yet: sightings below the frontiers are still to come. After them the tiles count
-- in windows, up to the id in `tiles`.
CREATE TRIGGER tile_waits BEFORE UPDATE OF done ON tile_complete
  WHEN new.done = 1 AND EXISTS (SELECT 1 FROM rebuild WHERE tiles IS NULL OR tiles < new.id)
BEGIN
  SELECT raise(IGNORE);
END;

CREATE TRIGGER probe_waits BEFORE UPDATE OF done ON probe WHEN new.done = 1 AND EXISTS (SELECT 1 FROM rebuild WHERE tiles IS NULL)
BEGIN
  SELECT raise(IGNORE);
END;

CREATE TRIGGER tile_laid AFTER INSERT ON tile
  WHEN NOT EXISTS (SELECT 1 FROM job_layout j CROSS JOIN layout_tile l ON l.layout = j.layout AND l.tile = new.n WHERE j.job = new.job)
BEGIN
  INSERT INTO layout_tile(layout, tile, port_set, range_set)
    SELECT layout, new.n, new.port_set, new.range_set FROM job_layout WHERE job = new.job ON CONFLICT DO NOTHING;
  INSERT INTO layout_range(layout, hi, lo, tile)
    SELECT j.layout, a.hi, a.lo, new.n FROM job_layout j CROSS JOIN range_set a ON a.id = new.range_set WHERE j.job = new.job
    ON CONFLICT DO NOTHING;
END;

CREATE TRIGGER record_part AFTER INSERT ON record WHEN new.kind = 'part'
BEGIN
  INSERT INTO part_of(job, tile, rec) VALUES (unhex(new.body->>'$.key.job'), new.body->>'$.key.tile', new.n) ON CONFLICT DO NOTHING;
END;

CREATE TRIGGER record_upload AFTER INSERT ON record WHEN new.kind = 'upload'
BEGIN
  INSERT INTO upload_of(rec) VALUES (new.n) ON CONFLICT DO NOTHING;
END;

CREATE TRIGGER record_revoke AFTER INSERT ON record WHEN new.kind = 'revoke'
BEGIN
  INSERT INTO revoke_of(key, rec) VALUES (new.body->>'$.publicKey', new.n) ON CONFLICT DO NOTHING;
END;
