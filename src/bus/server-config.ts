import { PortolanError } from "../core/errors.ts";
import {
  heartbeatSubject,
  inboxPrefix,
  cancelSubject,
  keptSubject,
  repairSubject,
  resultsStream,
  reportsSubject,
  scannerScanSubject,
  scanSubject,
  SCANNERS,
  shardsDurable,
  shardsStream,
} from "./names.ts";

/** A client that the server knows by its public key. */
export type NatsUser = { readonly name: string; readonly publicKey: string };

/** What decides the server's configuration file. */
export type NatsServerOptions = {
  readonly region: string;
  readonly host: string;
  readonly port: number;
  /** Directory of JetStream's files. */
  readonly storeDir: string;
  /** May do everything in the region's account. */
  readonly keepers: readonly NatsUser[];
  /** May claim their own work, report, and say how they are. */
  readonly scanners: readonly NatsUser[];
  /**
   * Keepers of other regions: may read this region's log stream and ask for records. The name is `peerClient` of their region;
   * several keys of one region share it.
   */
  readonly peers?: readonly NatsUser[];
  /** The API and the web pages: may watch progress and ask for scans. */
  readonly watchers?: readonly NatsUser[];
  /** PEM files; without them the server listens on loopback only. */
  readonly tls?: { readonly certFile: string; readonly keyFile: string; readonly caFile?: string };
};

const NAME = /^[a-zA-Z0-9_-]{1,64}$/;
const KEY = /^U[A-Z2-7]{55}$/;

/**
 * The whole text of `nats.conf` for nats-server 2.9 or newer. Holds public keys only. After a change of users
 * SIGHUP is enough: new ones get in, removed ones are cut off, the others notice nothing.
 * Throws `PortolanError("invalid")` for a listener beyond loopback without TLS, for names and keys that could not stand in the file, and for a name or key used twice.
 */
export function natsServerConfig(options: NatsServerOptions): string {
  if (options.tls === undefined && !isLoopback(options.host)) {
    throw new PortolanError(
      "invalid",
      `NATS may not listen on ${options.host} without TLS; give it a certificate, or let it listen on 127.0.0.1`,
    );
  }
  const users = [...options.keepers, ...options.scanners, ...(options.watchers ?? [])];
  checkUsers(users, options.peers ?? []);
  const entries = [
    ...options.keepers.map((user) => `    { nkey: ${user.publicKey} } # keeper ${user.name}`),
    ...options.scanners.map((user) => userEntry(user, scannerRights(options.region, user.name))),
    ...(options.peers ?? []).map((user) => userEntry(user, peerRights(options.region, user.name))),
    ...(options.watchers ?? []).map((user) => userEntry(user, watcherRights(options.region, user.name))),
  ];
  return [
    `server_name: ${quote(options.region)}`,
    `listen: ${quote(`${options.host}:${options.port}`)}`,
    "max_payload: 8MB",
    'ping_interval: "10s"',
    "ping_max: 2",
    'write_deadline: "10s"',
    ...tlsBlock(options.tls),
    `jetstream { store_dir: ${quote(options.storeDir)}, domain: ${quote(options.region)}, max_memory_store: 64MB, max_file_store: 8GB }`,
    "accounts {",
    "  REGION { jetstream: enabled, users: [",
    ...entries,
    "  ] }",
    "  SYS { users: [] }",
    "}",
    "system_account: SYS",
    "",
  ].join("\n");
}

/** `answers`: whether it may reply to requests that it got. */
type Rights = { readonly publish: readonly string[]; readonly subscribe: readonly string[]; readonly answers?: boolean };

// `results.>` is missing on purpose: only keepers write records, after the commit. The server does not check reply
// subjects, so these rights keep order among honest clients; trust rests on signatures.
function scannerRights(region: string, scanner: string): Rights {
  const stream = shardsStream(region);
  const durable = shardsDurable(scanner);
  return {
    publish: [
      reportsSubject(region),
      `progress.${scanner}.>`,
      heartbeatSubject(scanner),
      `$JS.API.CONSUMER.MSG.NEXT.${stream}.${durable}`,
      `$JS.API.CONSUMER.INFO.${stream}.${durable}`,
      `$JS.API.STREAM.INFO.${stream}`,
      `$JS.ACK.${stream}.${durable}.>`,
      `${inboxPrefix(scanner)}.>`,
    ],
    subscribe: [
      `${inboxPrefix(scanner)}.>`,
      cancelSubject(scanner),
      keptSubject(region),
      `${scanSubject(region)} ${SCANNERS}`,
      scannerScanSubject(region, scanner),
    ],
  };
}

// Reading needs STREAM.INFO, a consumer of its own by name, and its next messages. A peer answers nobody here.
function peerRights(region: string, name: string): Rights {
  const stream = resultsStream(region);
  return {
    publish: [
      `$JS.API.STREAM.INFO.${stream}`,
      `$JS.API.CONSUMER.CREATE.${stream}.>`,
      `$JS.API.CONSUMER.MSG.NEXT.${stream}.>`,
      `$JS.API.CONSUMER.DELETE.${stream}.>`,
      repairSubject(region),
    ],
    subscribe: [`${inboxPrefix(name)}.>`],
    answers: false,
  };
}

function watcherRights(region: string, name: string): Rights {
  return {
    publish: [scanSubject(region), `${scanSubject(region)}.*`],
    subscribe: [`${inboxPrefix(name)}.>`, "progress.>", "heartbeat.*"],
  };
}

function userEntry(user: NatsUser, rights: Rights): string {
  const list = (subjects: readonly string[]): string => `[${subjects.map(quote).join(", ")}]`;
  return [
    `    { nkey: ${user.publicKey}, permissions: { # ${user.name}`,
    `      publish: { allow: ${list(rights.publish)} }`,
    `      subscribe: { allow: ${list(rights.subscribe)} }`,
    rights.answers === false ? "    } }" : '      allow_responses: { max: 1, expires: "60s" } } }',
  ].join("\n");
}

/** Whether only this machine reaches a listener on this address. A name is so only when it is `localhost`. */
export function isLoopback(host: string): boolean {
  return host === "localhost" || host === "::1" || /^127\.\d+\.\d+\.\d+$/.test(host);
}

function tlsBlock(tls: NatsServerOptions["tls"]): string[] {
  if (tls === undefined) return [];
  const authority = tls.caFile === undefined ? "" : `, ca_file: ${quote(tls.caFile)}`;
  return [`tls { cert_file: ${quote(tls.certFile)}, key_file: ${quote(tls.keyFile)}${authority}, timeout: 3 }`];
}

function checkUsers(users: readonly NatsUser[], peers: readonly NatsUser[]): void {
  const seen = new Set<string>();
  const once = (text: string): void => {
    if (seen.has(text))
      throw new PortolanError("conflict", `"${text}" belongs to two NATS clients; each needs a name and a key of its own`);
    seen.add(text);
  };
  for (const user of [...users, ...peers]) {
    if (!NAME.test(user.name))
      throw new PortolanError("invalid", `"${user.name}" cannot be the name of a NATS client; use letters, digits, - and _`);
    if (!KEY.test(user.publicKey))
      throw new PortolanError("invalid", `the public key of "${user.name}" is no nkey user key (U and 55 characters)`);
    once(user.publicKey);
  }
  for (const name of [...users.map((user) => user.name), ...new Set(peers.map((user) => user.name))]) once(name);
}

function quote(text: string): string {
  if (/["\\\n\r]/.test(text))
    throw new PortolanError("invalid", `${JSON.stringify(text)} cannot stand in nats.conf: it holds a quote, backslash or line end`);
  return `"${text}"`;
}
