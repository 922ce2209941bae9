import { blob, integer, primaryKey, sqliteTable, text, uniqueIndex } from "drizzle-orm/sqlite-core";

/** One row: its version moves by one with each accepted write and guards it (see `change.ts`). */
export const meta = sqliteTable("meta", {
  id: integer("id").primaryKey(),
  version: integer("version").notNull(),
});

export const region = sqliteTable("region", {
  name: text("name").primaryKey(),
  createdAtMs: integer("created_at_ms").notNull(),
});

export const scanner = sqliteTable(
  "scanner",
  {
    name: text("name").primaryKey(),
    region: text("region").notNull(),
    /** JSON array of canonical addresses. */
    addresses: text("addresses").notNull(),
    publicKey: text("public_key").notNull(),
    enabled: integer("enabled").notNull(),
    createdAtMs: integer("created_at_ms").notNull(),
  },
  (table) => [uniqueIndex("scanner_public_key").on(table.publicKey)],
);

export const scannerGroup = sqliteTable("scanner_group", {
  name: text("name").primaryKey(),
  createdAtMs: integer("created_at_ms").notNull(),
});

export const groupMember = sqliteTable(
  "group_member",
  {
    group: text("group_name").notNull(),
    scanner: text("scanner").notNull(),
    /** Pinned place from 1, or null: then places follow from the names. */
    pinned: integer("pinned"),
  },
  (table) => [primaryKey({ columns: [table.group, table.scanner] })],
);

export const rangeGroup = sqliteTable("range_group", {
  name: text("name").primaryKey(),
  createdAtMs: integer("created_at_ms").notNull(),
});

/** Inclusive; `first` and `last` are 16-byte keys, so that byte order is address order. */
export const range = sqliteTable(
  "range",
  {
    group: text("group_name").notNull(),
    first: blob("first_key", { mode: "buffer" }).notNull(),
    last: blob("last_key", { mode: "buffer" }).notNull(),
    /** Canonical spelling. */
    canonical: text("canonical").notNull(),
    /** The user's own spelling. */
    text: text("text").notNull(),
  },
  (table) => [primaryKey({ columns: [table.group, table.first] })],
);

export const exclusion = sqliteTable("exclusion", {
  id: text("id").primaryKey(),
  /** JSON array of canonical ranges. */
  ranges: text("ranges").notNull(),
  /** Canonical ports; null excludes the addresses altogether. */
  ports: text("ports"),
  owner: text("owner").notNull(),
  reason: text("reason").notNull(),
  expiresAtMs: integer("expires_at_ms"),
  createdAtMs: integer("created_at_ms").notNull(),
});

export const plan = sqliteTable(
  "plan",
  {
    name: text("name").primaryKey(),
    id: text("id").notNull(),
    revision: integer("revision").notNull(),
    enabled: integer("enabled").notNull(),
    /** Names of range groups, JSON arrays. */
    include: text("include_groups").notNull(),
    exclude: text("exclude_groups").notNull(),
    ports: text("ports").notNull(),
    rateLimitPps: integer("rate_limit_pps").notNull(),
    retries: integer("retries").notNull(),
    group: text("group_name").notNull(),
    engine: text("engine").notNull(),
    intervalS: integer("interval_s"),
    deadlineS: integer("deadline_s").notNull(),
    closeAfter: integer("close_after").notNull(),
    confirm: integer("confirm").notNull(),
    home: text("home").notNull(),
    pairsMax: integer("pairs_max"),
    /** JSON array of {address, port}. */
    canaries: text("canaries").notNull(),
    /** Name of the range group that was made together with the plan and goes with it; null when there is none. */
    ownGroup: text("own_group"),
    createdAtMs: integer("created_at_ms").notNull(),
  },
  (table) => [uniqueIndex("plan_id").on(table.id)],
);

export const token = sqliteTable("token", {
  id: text("id").primaryKey(),
  name: text("name").notNull(),
  role: text("role").notNull(),
  /** SHA-256 of the whole token, hex: the token itself is stored nowhere. */
  hash: text("hash").notNull(),
  createdAtMs: integer("created_at_ms").notNull(),
  expiresAtMs: integer("expires_at_ms"),
  revokedAtMs: integer("revoked_at_ms"),
  lastUsedAtMs: integer("last_used_at_ms"),
});
