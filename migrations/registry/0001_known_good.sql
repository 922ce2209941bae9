CREATE TABLE `known_good` (
	`id` text PRIMARY KEY NOT NULL,
	`ranges` text NOT NULL CHECK (json_valid(`ranges`)),
	`ports` text,
	`owner` text NOT NULL,
	`reason` text NOT NULL,
	`expires_at_ms` integer,
	`created_at_ms` integer NOT NULL
) STRICT;
