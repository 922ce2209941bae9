CREATE TABLE `exclusion` (
	`id` text PRIMARY KEY NOT NULL,
	`ranges` text NOT NULL CHECK (json_valid(`ranges`)),
	`ports` text,
	`owner` text NOT NULL,
	`reason` text NOT NULL,
	`expires_at_ms` integer,
	`created_at_ms` integer NOT NULL
) STRICT;
--> statement-breakpoint
CREATE TABLE `group_member` (
	`group_name` text NOT NULL,
	`scanner` text NOT NULL,
	`pinned` integer,
	PRIMARY KEY(`group_name`, `scanner`)
) STRICT, WITHOUT ROWID;
--> statement-breakpoint
CREATE TABLE `meta` (
	`id` integer PRIMARY KEY NOT NULL CHECK (`id` = 1),
	`version` integer NOT NULL,
	`home` text
) STRICT;
--> statement-breakpoint
CREATE TABLE `plan` (
	`name` text PRIMARY KEY NOT NULL,
	`id` text NOT NULL,
	`revision` integer NOT NULL,
	`enabled` integer NOT NULL CHECK (`enabled` IN (0, 1)),
	`include_groups` text NOT NULL CHECK (json_valid(`include_groups`)),
	`exclude_groups` text NOT NULL CHECK (json_valid(`exclude_groups`)),
	`ports` text NOT NULL,
	`rate_limit_pps` integer NOT NULL CHECK (`rate_limit_pps` > 0),
	`retries` integer NOT NULL,
	`group_name` text NOT NULL,
	`engine` text NOT NULL CHECK (`engine` IN ('auto', 'masscan', 'connect')),
	`interval_s` integer,
	`cron` text CHECK (`cron` IS NULL OR `interval_s` IS NULL),
	`time_zone` text NOT NULL,
	`deadline_s` integer NOT NULL,
	`close_after` integer NOT NULL,
	`confirm` integer NOT NULL CHECK (`confirm` IN (0, 1)),
	`home` text NOT NULL,
	`homes` text NOT NULL CHECK (json_valid(`homes`) AND json_extract(`homes`, '$[0]') = `home`),
	`takeover_after_s` integer NOT NULL CHECK (`takeover_after_s` > 0),
	`pairs_max` integer,
	`canaries` text NOT NULL CHECK (json_valid(`canaries`)),
	`own_group` text,
	`created_at_ms` integer NOT NULL
) STRICT;
--> statement-breakpoint
CREATE UNIQUE INDEX `plan_id` ON `plan` (`id`);--> statement-breakpoint
CREATE TABLE `range` (
	`group_name` text NOT NULL,
	`first_key` blob NOT NULL CHECK (length(`first_key`) = 16),
	`last_key` blob NOT NULL CHECK (length(`last_key`) = 16 AND `last_key` >= `first_key`),
	`canonical` text NOT NULL,
	`text` text NOT NULL,
	PRIMARY KEY(`group_name`, `first_key`)
) STRICT, WITHOUT ROWID;
--> statement-breakpoint
CREATE TABLE `range_group` (
	`name` text PRIMARY KEY NOT NULL,
	`allow_special_purpose` integer NOT NULL CHECK (`allow_special_purpose` IN (0, 1)),
	`created_at_ms` integer NOT NULL
) STRICT;
--> statement-breakpoint
CREATE TABLE `region` (
	`name` text PRIMARY KEY NOT NULL,
	`nats_url` text,
	`api_url` text,
	`keeper_public_keys` text NOT NULL CHECK (json_valid(`keeper_public_keys`)),
	`latitude` real,
	`longitude` real,
	`state` text NOT NULL CHECK (`state` IN ('active', 'retired')),
	`created_at_ms` integer NOT NULL
) STRICT;
--> statement-breakpoint
CREATE TABLE `scanner` (
	`name` text PRIMARY KEY NOT NULL,
	`region` text NOT NULL,
	`addresses` text NOT NULL CHECK (json_valid(`addresses`)),
	`public_key` text NOT NULL,
	`enabled` integer NOT NULL CHECK (`enabled` IN (0, 1)),
	`may_probe` text CHECK (`may_probe` IS NULL OR json_valid(`may_probe`)),
	`may_not_probe` text NOT NULL CHECK (json_valid(`may_not_probe`)),
	`created_at_ms` integer NOT NULL
) STRICT;
--> statement-breakpoint
CREATE UNIQUE INDEX `scanner_public_key` ON `scanner` (`public_key`);--> statement-breakpoint
CREATE TABLE `scanner_group` (
	`name` text PRIMARY KEY NOT NULL,
	`created_at_ms` integer NOT NULL
) STRICT;
--> statement-breakpoint
CREATE TABLE `token` (
	`id` text PRIMARY KEY NOT NULL,
	`name` text NOT NULL,
	`role` text NOT NULL CHECK (`role` IN ('viewer', 'operator', 'admin', 'uploader')),
	`hash` text NOT NULL CHECK (length(`hash`) = 64),
	`created_at_ms` integer NOT NULL,
	`expires_at_ms` integer,
	`revoked_at_ms` integer,
	`last_used_at_ms` integer,
	`regions` text CHECK (`regions` IS NULL OR json_valid(`regions`)),
	`groups` text CHECK (`groups` IS NULL OR json_valid(`groups`))
) STRICT;
--> statement-breakpoint
CREATE TABLE `webhook` (
	`name` text PRIMARY KEY NOT NULL,
	`url` text NOT NULL,
	`events` text NOT NULL CHECK (json_valid(`events`)),
	`enabled` integer NOT NULL CHECK (`enabled` IN (0, 1)),
	`secrets` text NOT NULL CHECK (json_valid(`secrets`)),
	`created_at_ms` integer NOT NULL
) STRICT;
--> statement-breakpoint
CREATE TABLE `audit` (
	`seq` integer PRIMARY KEY NOT NULL CHECK (`seq` > 0),
	`at_ms` integer NOT NULL,
	`actor` text NOT NULL,
	`token_id` text,
	`request_id` text,
	`action` text NOT NULL,
	`kind` text NOT NULL,
	`key` text NOT NULL,
	`before` text CHECK (`before` IS NULL OR json_valid(`before`)),
	`after` text CHECK (`after` IS NULL OR json_valid(`after`)),
	`hash` text NOT NULL CHECK (length(`hash`) = 64)
) STRICT;
--> statement-breakpoint
CREATE TABLE `idempotency` (
	`id` text PRIMARY KEY NOT NULL CHECK (length(`id`) = 64),
	`token_id` text NOT NULL,
	`fingerprint` text NOT NULL CHECK (length(`fingerprint`) = 64),
	`status` integer,
	`answer` text,
	`created_at_ms` integer NOT NULL
) STRICT;
--> statement-breakpoint
CREATE INDEX `idempotency_created` ON `idempotency` (`created_at_ms`);--> statement-breakpoint
CREATE INDEX `idempotency_token` ON `idempotency` (`token_id`,`created_at_ms`);
--> statement-breakpoint
INSERT INTO `meta` (`id`, `version`) VALUES (1, 0) ON CONFLICT DO NOTHING;
