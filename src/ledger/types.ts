import type { SightingTable } from "../core/columns.ts";
import type { AddressRange } from "../core/range.ts";
import type { Protocol } from "../core/port.ts";
import type { Sha256Hex } from "../core/statement.ts";
import type { Frontier } from "../core/messages/common.ts";
import type { Assignment, JobSpec } from "../core/messages/job.ts";
import type { Heartbeat, Progress, Receipt } from "../core/messages/bus.ts";
import type { Acceptance, Author, Statement } from "../core/messages/record.ts";
import type { Outcome } from "../core/messages/report.ts";

/** A statement on its way into the ledger. The keeper has judged it: signature, shape, payload digest, completeness. */
export type AcceptItem = {
  readonly statement: Statement;
  /** `statementId` of the statement. */
  readonly id: string;
  readonly author: Author;
  /** Columns of a part or upload; null for other kinds. */
  readonly payload: Uint8Array | null;
  /** `decodeSightingTable(payload)` when the caller has it already. */
  readonly sightings?: SightingTable;
  /** `AcceptContext.compress(payload)` when the caller has it already: so that it is not done while the database waits. */
  readonly compressed?: Uint8Array;
  /** The keeper's own judgement of a report: the projection counts it as complete only when this says so too. The record stays as it was signed. */
  readonly judged?: Outcome;
};

/** What a keeper brings along to accept. */
export type AcceptContext = {
  /** Of the lease: when another keeper has taken it, nothing is written. */
  readonly epoch: number;
  readonly nowMs: number;
  readonly sha256: Sha256Hex;
  /** The keeper's signature over a chain hash, base64url. */
  readonly sign: (chain: string) => string | Promise<string>;
  /** zstd for stored payloads; without it they are stored as they are. */
  readonly compress?: (bytes: Uint8Array) => Uint8Array;
  /** Inbox commands that these records answer: finished in the same transaction. */
  readonly finishes?: readonly { readonly id: string; readonly result: unknown }[];
};

/** A record that another ledger accepted. */
export type PeerItem = AcceptItem & { readonly acceptance: Acceptance; /** The region that the log belongs to. */ readonly region: string };

/** At most this many statements, and this many sightings, in one `accept`: keeps the transaction short. */
export const ACCEPT_ITEMS_MAX = 128;
export const ACCEPT_SIGHTINGS_MAX = 40_000;

/** How often a shard is tried before it is left to the deadline. */
export const ATTEMPTS_MAX = 5;

export type LeaseRequest = { readonly holder: string; readonly nowMs: number; readonly ttlMs: number };
export type Lease = { readonly epoch: number };

/** A shard that waits for a report, as the keeper of its scanner's region sees it. */
export type OpenAssignment = {
  readonly job: string;
  readonly plan: string;
  readonly tile: number;
  readonly shard: number;
  readonly attempt: number;
  readonly scanner: string;
  readonly deadlineAtMs: number;
};

/** A tile all of whose shards have complete reports with all their parts: what a tile-complete has to name. */
export type CompletableTile = {
  readonly job: string;
  readonly tile: number;
  readonly reports: { readonly shard: number; readonly id: string }[];
};

/** When a plan last ran, for the scheduler. */
export type PlanRun = { readonly planId: string; readonly lastPlannedAtMs: number; readonly runningJob: string | null };

/** A job that has open tiles. */
export type RunningJob = {
  readonly id: string;
  readonly plan: string;
  readonly planId: string;
  readonly home: string;
  readonly deadlineAtMs: number;
};

/** Commands that the API leaves for the keeper. */
export type CommandKind = "start-job" | "cancel-job";
export type Command = { readonly id: string; readonly kind: CommandKind; readonly body: unknown; readonly createdAtMs: number };
export type CommandResult =
  | { readonly ok: true; readonly result: unknown }
  | { readonly ok: false; readonly code: string; readonly message: string };

export type ServiceState = "open" | "missing" | "closed";

/** One (address, protocol, port) of the register. Times in milliseconds of the Unix epoch. */
export type Service = {
  readonly address: string;
  readonly protocol: Protocol;
  readonly port: number;
  readonly state: ServiceState;
  readonly firstSeenMs: number;
  readonly lastSeenMs: number;
  /** Regions whose own scanners have seen it, sorted. Uploads lend no vantage. */
  readonly seenBy: string[];
  /** When this ledger gave it its present state. */
  readonly changedAtMs: number;
  /** Seen again after it had been closed. */
  readonly reopened: boolean;
  readonly known: boolean;
};

export type ServiceQuery = {
  /** Inclusive. */
  readonly range?: AddressRange;
  readonly port?: number;
  readonly protocol?: Protocol;
  /** `active` (the default) is open and missing. */
  readonly state?: ServiceState | "active" | "all";
  /** Known-good services: default `hide`. */
  readonly known?: "hide" | "show";
  /** 1 … 1,000; default 100. */
  readonly limit?: number;
  /** `next` of the page before. */
  readonly cursor?: string;
};

/** One page; `next` is null on the last one. */
export type Page<T> = { readonly items: T[]; readonly next: string | null };

export type ServiceCounts = { readonly open: number; readonly missing: number; readonly closed: number };
export type PortCount = {
  readonly protocol: Protocol;
  readonly port: number;
  readonly open: number;
  readonly missing: number;
  readonly closed: number;
};

export type Change = {
  readonly address: string;
  readonly protocol: Protocol;
  readonly port: number;
  /** Null when the service was not in the register before. */
  readonly was: ServiceState | null;
  readonly state: ServiceState;
  readonly kind: "observed" | "missing" | "closed" | "reopened" | "seen-again";
  readonly atMs: number;
};

export type JobState = "running" | "complete" | "incomplete";
export type Job = {
  readonly id: string;
  readonly plan: string;
  readonly group: string;
  readonly home: string;
  readonly cause: JobSpec["cause"];
  readonly state: JobState;
  /** Why it ended incomplete. */
  readonly why: string | null;
  readonly plannedAtMs: number;
  readonly deadlineAtMs: number;
  readonly endedAtMs: number | null;
  readonly tiles: { readonly total: number; readonly complete: number; readonly abandoned: number };
  readonly pairs: number;
};

export type ShardState = "waiting" | "running" | "complete" | "partial" | "abandoned";
export type ShardRow = {
  readonly tile: number;
  readonly shard: number;
  readonly scanner: string;
  readonly region: string;
  /** The attempt that is due or, when complete, the last one counted. */
  readonly attempt: number;
  /** `partial`: all attempts are used up. */
  readonly state: ShardState;
  readonly percent: number | null;
  readonly ratePps: number | null;
  readonly found: number | null;
  readonly remainingS: number | null;
  /** First reason of the last partial report. */
  readonly problem: string | null;
};

export type TileState = "open" | "complete" | "abandoned";
export type TileRow = {
  readonly tile: number;
  readonly state: TileState;
  readonly shards: number;
  readonly shardsComplete: number;
  readonly pairs: number;
  readonly engine: "masscan" | "connect";
  readonly held: string | null;
};

export type ScannerLive = Heartbeat & { readonly receivedAtMs: number };
export type ShardQuery = {
  readonly job: string;
  readonly nowMs: number;
  readonly limit?: number;
  readonly cursor?: string;
  readonly tile?: number;
};

/** What a reader (API, pages) may do: queries, and commands for the keeper. Errors: `unavailable` when the database does not answer. */
export type LedgerReader = {
  listServices(query: ServiceQuery): Promise<Page<Service>>;
  /** All services of one address in every state; at most 1,000. */
  host(address: string): Promise<Service[]>;
  counts(): Promise<ServiceCounts>;
  /** Most frequent ports first. */
  portCounts(limit: number): Promise<PortCount[]>;
  /** Newest first. */
  listChanges(query: { limit?: number; cursor?: string }): Promise<Page<Change>>;
  /** Newest first. */
  listJobs(query: { limit?: number; cursor?: string; plan?: string; state?: JobState }): Promise<Page<Job>>;
  job(id: string): Promise<Job | null>;
  jobSpec(id: string): Promise<JobSpec | null>;
  listTiles(query: { job: string; limit?: number; cursor?: string }): Promise<Page<TileRow>>;
  listShards(query: ShardQuery): Promise<Page<ShardRow>>;
  scanners(): Promise<ScannerLive[]>;
  /** Fresh progress only (younger than 15 s). */
  progress(query: { job: string; nowMs: number }): Promise<Progress[]>;
  frontier(): Promise<Frontier>;
  /** Logs whose prefix stands before a hole: nothing whose frontier reaches beyond can close anything. */
  holes(): Promise<{ log: string; region: string; prefix: number; highest: number }[]>;
  submitCommand(kind: CommandKind, body: unknown, options: { nowMs: number; ttlMs?: number }): Promise<string>;
  /** Null when the time is over; the keeper may still do it, until the command's own time is over. */
  awaitCommand(id: string, timeoutMs: number): Promise<CommandResult | null>;
};

/** What the keeper with the lease may do. Methods with an epoch write nothing (`conflict`) when another keeper has the lease. */
export type Ledger = LedgerReader & {
  readonly region: string;
  ensureLog(mintLogId: () => string): Promise<{ log: string; next: number }>;
  /** Null while another holder has it. The same holder gets a new epoch. */
  takeLease(request: LeaseRequest): Promise<Lease | null>;
  /** Whether it was still ours. */
  renewLease(request: LeaseRequest & Lease): Promise<boolean>;
  releaseLease(lease: { holder: string; epoch: number }): Promise<void>;
  /** One transaction: records with the next numbers, their projection, receipts in the order of the items (also for repeats). */
  accept(items: readonly AcceptItem[], context: AcceptContext): Promise<Receipt[]>;
  /** One transaction: records of other logs with the positions they have. Repeatable, in any order. */
  applyPeer(items: readonly PeerItem[], context: Pick<AcceptContext, "epoch" | "nowMs" | "sha256" | "compress">): Promise<void>;
  /** Deferred work (tiles of big jobs, closing passes): does one window, and tells whether more is due. */
  runDeferred(context: { epoch: number; sha256: Sha256Hex; window?: number }): Promise<boolean>;
  openAssignments(query: { region: string; nowMs: number; perScanner: number }): Promise<OpenAssignment[]>;
  completableTiles(query: { home: string; limit: number }): Promise<CompletableTile[]>;
  runningJobs(): Promise<RunningJob[]>;
  /** Inclusive runs of tile numbers that are neither complete nor abandoned, at most 10,000. */
  openTiles(job: string): Promise<{ first: number; last: number }[]>;
  planRuns(): Promise<PlanRun[]>;
  /** Whether the assignment is still wanted: job running, tile open, shard without a complete report. */
  isWanted(key: Assignment["key"]): Promise<boolean>;
  takeCommands(query: { limit: number; nowMs: number }): Promise<Command[]>;
  finishCommand(id: string, result: CommandResult, context: { epoch: number; nowMs: number }): Promise<void>;
  putHeartbeat(heartbeat: Heartbeat, nowMs: number): Promise<void>;
  putProgress(progress: readonly Progress[], nowMs: number): Promise<void>;
  close(): void;
};
