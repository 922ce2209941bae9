import { customType, index, integer, primaryKey, real, sqliteTable, text, uniqueIndex } from "drizzle-orm/sqlite-core";
import { z } from "zod";
import { ROLES, WEBHOOK_EVENTS } from "./types.ts";

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
const secrets = z.array(z.object({ secret: z.string(), createdAtMs: z.int(), expiresAtMs: z.int().nullable() })).readonly();
const canaries = z.array(z.object({ address: z.string(), port: z.int() })).readonly();

/** One row: its version moves by one with each accepted write and guards it (see `change.ts`). */
export const meta = sqliteTable("meta", {
  id: integer("id").primaryKey(),
  version: integer("version").notNull(),
  /** Region whose sqld is the registry's primary; null while nobody said. */
  home: text("home"),
});

export const region = sqliteTable("region", {
  name: text("name").primaryKey(),
  natsUrl: text("nats_url"),
  apiUrl: text("api_url"),
  keeperPublicKeys: jsonText("keeper_public_keys", texts).notNull(),
  latitude: real("latitude"),
  longitude: real("longitude"),
  state: text("state", { enum: ["active", "retired"] }).notNull(),
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
    /** Names of range groups; null: all addresses. */
    mayProbe: jsonText("may_probe", texts),
    mayNotProbe: jsonText("may_not_probe", texts).notNull(),
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
  allowSpecialPurpose: flag("allow_special_purpose").notNull(),
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
    cron: text("cron"),
    /** IANA name. */
    timeZone: text("time_zone").notNull(),
    deadlineS: integer("deadline_s").notNull(),
    closeAfter: integer("close_after").notNull(),
    confirm: flag("confirm").notNull(),
    /** The first of `homes`. */
    home: text("home").notNull(),
    homes: jsonText("homes", texts).notNull(),
    takeoverAfterS: integer("takeover_after_s").notNull(),
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
  /** What it may change; null: of all regions, of all scanner groups. */
  regions: jsonText("regions", texts),
  groups: jsonText("groups", texts),
});

export const webhook = sqliteTable("webhook", {
  name: text("name").primaryKey(),
  url: text("url").notNull(),
  events: jsonText("events", z.array(z.enum(WEBHOOK_EVENTS)).readonly()).notNull(),
  enabled: flag("enabled").notNull(),
  secrets: jsonText("secrets", secrets).notNull(),
  createdAtMs: integer("created_at_ms").notNull(),
});

/** Who changed what: written in the same transaction as the change, each row's hash over the one before it (see `audit-chain.ts`). */
export const audit = sqliteTable("audit", {
  /** 1, 2, 3 … without holes. */
  seq: integer("seq").primaryKey(),
  atMs: integer("at_ms").notNull(),
  actor: text("actor").notNull(),
  tokenId: text("token_id"),
  requestId: text("request_id"),
  /** `kind.verb`. */
  action: text("action").notNull(),
  kind: text("kind").notNull(),
  key: text("key").notNull(),
  /** JSON; null: it was not there. */
  before: text("before"),
  after: text("after"),
  hash: text("hash").notNull(),
});

/** Answers to requests that named an Idempotency-Key, for 24 h. */
export const idempotency = sqliteTable(
  "idempotency",
  {
    /** SHA-256 of token and key, hex. */
    id: text("id").primaryKey(),
    tokenId: text("token_id").notNull(),
    /** SHA-256 of method, path and body, hex. */
    fingerprint: text("fingerprint").notNull(),
    /** Null while it is in flight. */
    status: integer("status"),
    /** Sealed with a key that only the caller's token and Idempotency-Key give. */
    answer: text("answer"),
    createdAtMs: integer("created_at_ms").notNull(),
  },
  (table) => [index("idempotency_created").on(table.createdAtMs), index("idempotency_token").on(table.tokenId, table.createdAtMs)],
);
