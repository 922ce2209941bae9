-- What one region does not see although another does. Tables and indexes follow src/ledger/schema/vantage.ts (a test compares them);
-- src/ledger/vantage.ts says what it means.

CREATE TABLE silent (
	ip blob NOT NULL,
	port integer NOT NULL,
	proto integer NOT NULL,
	region text NOT NULL,
	basis blob NOT NULL,
	frontier_of blob NOT NULL,
	at_ms integer NOT NULL,
	PRIMARY KEY(ip, port, proto, region)
) STRICT, WITHOUT ROWID;

CREATE TABLE silent_pass (
	tc blob PRIMARY KEY NOT NULL,
	region text NOT NULL,
	cursor blob
) STRICT, WITHOUT ROWID;

-- Rows of `silent` that hold: the look or the confirm still counts, and the region has not seen the service since.
CREATE VIEW silence AS SELECT v.ip, v.port, v.proto, v.region, v.basis, v.frontier_of, v.at_ms FROM silent v
WHERE (EXISTS (SELECT 1 FROM tile_complete c WHERE c.id = v.basis AND c.done = 3) OR EXISTS (SELECT 1 FROM probe p WHERE p.id = v.basis AND p.done = 3))
  AND NOT EXISTS (SELECT 1 FROM sighting g CROSS JOIN log l ON l.n = g.log WHERE g.ip = v.ip AND g.port = v.port AND g.proto = v.proto AND l.region = v.region
    AND g.own_rseq > coalesce((SELECT f.upto FROM frontier f WHERE f.rec = v.frontier_of AND f.log = g.log), -1));

-- Silences of services that a region sees which is not silent itself.
CREATE VIEW disagreement AS SELECT v.ip, v.port, v.proto, v.region FROM silence v
WHERE EXISTS (SELECT 1 FROM sighting g CROSS JOIN log l ON l.n = g.log
  WHERE g.ip = v.ip AND g.port = v.port AND g.proto = v.proto AND g.own_rseq >= 0 AND l.region <> v.region
    AND NOT EXISTS (SELECT 1 FROM silence w WHERE w.ip = v.ip AND w.port = v.port AND w.proto = v.proto AND w.region = l.region));

-- A tile all of whose reports come from one region is looked through for what that region did not see; with one region there is nothing to compare.
CREATE TRIGGER vantage_looked AFTER UPDATE OF done ON tile_complete
  WHEN new.done = 3 AND old.done <> 3 AND (SELECT count(DISTINCT region) FROM log WHERE region <> '') > 1
BEGIN
  INSERT INTO silent_pass(tc, region)
    SELECT new.id, min(region) FROM (
      SELECT DISTINCT coalesce((SELECT m.region FROM job_member m WHERE m.job = r.job AND m.scanner = r.scanner), '') AS region
      FROM tile_need n CROSS JOIN report r ON r.id = n.report WHERE n.tc = new.id)
    GROUP BY new.id HAVING count(*) = 1 AND min(region) <> ''
    ON CONFLICT DO UPDATE SET cursor = NULL;
END;

CREATE TRIGGER vantage_probed AFTER UPDATE OF done ON probe
  WHEN new.done = 3 AND old.done <> 3 AND (SELECT count(DISTINCT region) FROM log WHERE region <> '') > 1
BEGIN
  INSERT INTO silent(ip, port, proto, region, basis, frontier_of, at_ms)
    SELECT DISTINCT q.ip, q.port, q.proto, new.region, new.id, new.id, new.stamp_ms FROM probe_result q
    WHERE q.probe = new.id AND q.answer IN (1, 2)
      AND EXISTS (SELECT 1 FROM sighting g CROSS JOIN log l ON l.n = g.log
        WHERE g.ip = q.ip AND g.port = q.port AND g.proto = q.proto AND g.own_rseq >= 0 AND l.region <> new.region AND g.first_at_s * 1000 <= new.stamp_ms)
    ON CONFLICT DO UPDATE SET basis = excluded.basis, frontier_of = excluded.frontier_of, at_ms = excluded.at_ms WHERE (excluded.at_ms, excluded.basis) > (at_ms, basis);
END;
