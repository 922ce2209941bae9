-- What comes from outside: uploads on their way to the keeper, imports, jobs for other programs, traceroutes.

ALTER TABLE inbox ADD COLUMN payload blob;

-- What is done is kept an hour for whoever asks again, without its bytes.
CREATE TRIGGER inbox_finished AFTER UPDATE OF done_at_ms ON inbox WHEN new.done_at_ms IS NOT NULL AND new.payload IS NOT NULL
BEGIN
	UPDATE inbox SET payload = null WHERE n = new.n;
	DELETE FROM inbox WHERE done_at_ms < new.done_at_ms - 3600000;
END;

CREATE TABLE import (
	id text PRIMARY KEY NOT NULL,
	source text NOT NULL,
	format text NOT NULL,
	records text NOT NULL,
	counts text NOT NULL,
	created_at_ms integer NOT NULL
) STRICT;

-- A number is never given twice, not even after its job was deleted.
CREATE TABLE legacy_job (
	n integer PRIMARY KEY AUTOINCREMENT NOT NULL,
	origin text NOT NULL,
	cidr text NOT NULL,
	ports text NOT NULL,
	proto text NOT NULL,
	requested_by text NOT NULL,
	created_at_ms integer NOT NULL,
	expires_at_ms integer,
	received_at_ms integer,
	cancelled_at_ms integer
) STRICT;
CREATE UNIQUE INDEX legacy_job_origin_unique ON legacy_job (origin);
CREATE INDEX legacy_job_open ON legacy_job (n) WHERE received_at_ms is null and cancelled_at_ms is null;

CREATE TABLE traceroute (
	ip blob NOT NULL,
	region text NOT NULL,
	rec blob NOT NULL,
	source text NOT NULL,
	path text NOT NULL,
	at_s integer NOT NULL,
	PRIMARY KEY(ip, region)
) STRICT;
