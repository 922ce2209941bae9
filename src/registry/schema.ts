import { customType, integer, primaryKey, sqliteTable, text, uniqueIndex } from "drizzle-orm/sqlite-core";
import { z } from "zod";
import { ROLES } from "./types.ts";

/** JSON in a text column, checked on its way out. */
const jsonText = <T>(name: string, schema: z.ZodType<T>) =>
  customType<{ data: T; driverData: string }>({
    dataType: () => "text",
    toDriver: (value) => JSON.stringify(value),
    fromDriver: (value) => schema.parse(JSON.parse(value)),
  })(name);

/** 16 bytes, so that byte order is address order. Written from hex by `unhex()`; nobody reads it back. */
const addressKey = customType<{ data: Uint8Array }>({ dataType: () => "blob" });

const flag = (name: string) => integer(name, { mode: "boolean" });
const texts = z.array(z.string()).readonly();
const canaries = z.array(z.object({ address: z.string(), port: z.int() })).readonly();

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
    /** Canonical addresses. */
    addresses: jsonText("addresses", texts).notNull(),
    publicKey: text("public_key").notNull(),
    enabled: flag("enabled").notNull(),
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

/** `first` and `last` are inclusive. */
export const range = sqliteTable(
  "range",
  {
    group: text("group_name").notNull(),
    first: addressKey("first_key").notNull(),
    last: addressKey("last_key").notNull(),
    /** Canonical spelling. */
    canonical: text("canonical").notNull(),
    /** The user's own spelling. */
    text: text("text").notNull(),
  },
  (table) => [primaryKey({ columns: [table.group, table.first] })],
);

export const exclusion = sqliteTable("exclusion", {
  id: text("id").primaryKey(),
  /** Canonical ranges. */
  ranges: jsonText("ranges", texts).notNull(),
  /** Canonical ports; null excludes the addresses altogether. */
  ports: text("ports"),
  owner: text("owner").notNull(),
  reason: text("reason").notNull(),
  expiresAtMs: integer("expires_at_ms"),
  createdAtMs: integer("created_at_ms").notNull(),
});

/** Services that are expected: shown only when asked for. */
export const knownGood = sqliteTable("known_good", {
  id: text("id").primaryKey(),
  /** Canonical ranges. */
  ranges: jsonText("ranges", texts).notNull(),
  /** Canonical ports; null means every port. */
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
    enabled: flag("enabled").notNull(),
    /** Names of range groups. */
    include: jsonText("include_groups", texts).notNull(),
    exclude: jsonText("exclude_groups", texts).notNull(),
    ports: text("ports").notNull(),
    rateLimitPps: integer("rate_limit_pps").notNull(),
    retries: integer("retries").notNull(),
    group: text("group_name").notNull(),
    engine: text("engine", { enum: ["auto", "masscan", "connect"] }).notNull(),
    intervalS: integer("interval_s"),
    deadlineS: integer("deadline_s").notNull(),
    closeAfter: integer("close_after").notNull(),
    confirm: flag("confirm").notNull(),
    home: text("home").notNull(),
    pairsMax: integer("pairs_max"),
    canaries: jsonText("canaries", canaries).notNull(),
    /** Name of the range group that was made together with the plan and goes with it; null when there is none. */
    ownGroup: text("own_group"),
    createdAtMs: integer("created_at_ms").notNull(),
  },
  (table) => [uniqueIndex("plan_id").on(table.id)],
);

export const token = sqliteTable("token", {
  id: text("id").primaryKey(),
  name: text("name").notNull(),
  role: text("role", { enum: ROLES }).notNull(),
  /** SHA-256 of the whole token, hex: the token itself is stored nowhere. */
  hash: text("hash").notNull(),
  createdAtMs: integer("created_at_ms").notNull(),
  expiresAtMs: integer("expires_at_ms"),
  revokedAtMs: integer("revoked_at_ms"),
  lastUsedAtMs: integer("last_used_at_ms"),
});
