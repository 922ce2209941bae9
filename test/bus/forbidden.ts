/** A log of region `eu`. */
export const LOG = "a".repeat(32);
const JOB = "b".repeat(64);
const SHARD = `shards.s1.${JOB}.0.1.1`;

/** What is the business of keepers alone: no other client may do any of it. */
const NEVER_PUBLISHED = [
  `results.eu.${LOG}`,
  `results.us.${LOG}`,
  SHARD,
  `shards.s2.${JOB}.0.1.1`,
  "cancel.s1",
  "cancel.s2",
  "kept.eu",
  "_INBOX.KEEPER.x",
  "$JS.API.INFO",
  "$JS.API.STREAM.LIST",
  "$JS.API.STREAM.CREATE.OTHER",
  "$JS.API.STREAM.CREATE.RESULTS_eu",
  "$JS.API.STREAM.UPDATE.RESULTS_eu",
  "$JS.API.STREAM.DELETE.RESULTS_eu",
  "$JS.API.STREAM.PURGE.RESULTS_eu",
  "$JS.API.STREAM.MSG.GET.RESULTS_eu",
  "$JS.API.STREAM.MSG.DELETE.RESULTS_eu",
  "$JS.API.STREAM.DELETE.SHARDS_eu",
  "$JS.API.STREAM.PURGE.SHARDS_eu",
  "$JS.API.STREAM.MSG.GET.SHARDS_eu",
  "$JS.API.STREAM.SNAPSHOT.RESULTS_eu",
  "$JS.API.STREAM.RESTORE.RESULTS_eu",
  "$JS.API.DIRECT.GET.RESULTS_eu",
  "$JS.API.CONSUMER.CREATE.RESULTS_eu",
  "$JS.API.CONSUMER.DURABLE.CREATE.RESULTS_eu.x",
  "$JS.API.CONSUMER.DURABLE.CREATE.SHARDS_eu.x",
  "$JS.API.CONSUMER.CREATE.SHARDS_eu.x",
  "$JS.API.CONSUMER.DELETE.SHARDS_eu.s1",
  "$JS.API.CONSUMER.MSG.NEXT.SHARDS_eu.s2",
  "$JS.API.CONSUMER.LIST.RESULTS_eu",
  "$JS.ACK.SHARDS_eu.s2.1.1.1.1.0",
  "$SYS.REQ.SERVER.PING",
];
const NEVER_READ = [
  ">",
  "results.eu.>",
  "shards.>",
  "shards.s1.>",
  "reports.eu",
  "repair.eu",
  "repair.eu keepers",
  "scan.eu",
  "cancel.*",
  "cancel.s2",
  "_INBOX.>",
  "_INBOX.KEEPER.>",
  "$JS.API.>",
  "$JS.EVENT.ADVISORY.>",
  "$SYS.>",
];

/** What a client may try in vain; a queue group stands behind the subject. */
export type Attempts = { readonly publish: readonly string[]; readonly subscribe: readonly string[] };

/** For a peer, a scanner and a watcher of region `eu`. */
export const FORBIDDEN: Readonly<Record<"peer_us" | "s1" | "api", Attempts>> = {
  peer_us: {
    publish: [
      ...NEVER_PUBLISHED,
      "reports.eu",
      "repair.us",
      "repair.ap",
      "scan.eu",
      "scan.eu.s1",
      "heartbeat.s1",
      `progress.s1.${JOB}.0.1`,
      "_INBOX.peer_ap.x",
      "_INBOX.peer_us.x",
      "_INBOX.s1.x",
      "$JS.API.STREAM.INFO.SHARDS_eu",
      "$JS.API.CONSUMER.INFO.RESULTS_eu.x",
      "$JS.API.CONSUMER.MSG.NEXT.SHARDS_eu.s1",
      "$JS.ACK.SHARDS_eu.s1.1.1.1.1.0",
    ],
    subscribe: [...NEVER_READ, "_INBOX.peer_ap.>", "_INBOX.s1.>", "heartbeat.*", "progress.>", "cancel.s1", "kept.eu", "scan.eu scanners"],
  },
  s1: {
    publish: [
      ...NEVER_PUBLISHED,
      "reports.us",
      "repair.eu",
      "scan.eu",
      "scan.eu.s2",
      "heartbeat.s2",
      `progress.s2.${JOB}.0.1`,
      "_INBOX.s2.x",
      "_INBOX.peer_us.x",
      "$JS.API.STREAM.INFO.RESULTS_eu",
      "$JS.API.CONSUMER.CREATE.RESULTS_eu.x",
      "$JS.API.CONSUMER.MSG.NEXT.RESULTS_eu.x",
      "$JS.API.CONSUMER.INFO.SHARDS_eu.s2",
    ],
    subscribe: [...NEVER_READ, "_INBOX.s2.>", "_INBOX.peer_us.>", "heartbeat.*", "progress.>", "kept.*", "kept.us", "scan.eu.s2"],
  },
  api: {
    publish: [
      ...NEVER_PUBLISHED,
      "reports.eu",
      "repair.eu",
      "scan.us",
      "heartbeat.s1",
      `progress.s1.${JOB}.0.1`,
      "_INBOX.s1.x",
      "$JS.API.STREAM.INFO.RESULTS_eu",
      "$JS.API.STREAM.INFO.SHARDS_eu",
      "$JS.API.CONSUMER.CREATE.RESULTS_eu.x",
      "$JS.API.CONSUMER.MSG.NEXT.SHARDS_eu.s1",
    ],
    subscribe: [...NEVER_READ, "_INBOX.s1.>", "_INBOX.peer_us.>", "cancel.s1", "kept.eu", "scan.eu scanners"],
  },
};
