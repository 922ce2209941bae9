import type { SightingTable } from "../core/columns.ts";
import type { AddressRange } from "../core/range.ts";
import type { Protocol } from "../core/port.ts";
import type { Sha256Hex } from "../core/statement.ts";
import type { Frontier } from "../core/messages/common.ts";
import type { Assignment, JobSpec } from "../core/messages/job.ts";
import type { Heartbeat, Progress, Receipt } from "../core/messages/bus.ts";
import type { Acceptance, Author, Statement } from "../core/messages/record.ts";
import type { Outcome } from "../core/messages/report.ts";
import type { Denied, DenyQuery, DenyRow } from "./denies.ts";
import type { Certificate } from "../core/certificate/schema.ts";
import type { ReportQuery, ReportRow, ScannerTotal } from "./accounting.ts";
import type { DiffPoint, HistoryPageQuery, ServiceDifference, ServiceHistory, ServiceThen } from "./history.ts";
import type { Labels, LabelsQuery } from "./labels.ts";
import type { RuleKind, RuleSet } from "./rules.ts";
import type { Change, ChangeQuery } from "./feed-types.ts";
import type { Facet, SearchContext, SearchCounts, SearchFacets, SearchQuery } from "./search/query.ts";
import type { StateHash } from "./state-hash.ts";
import type { OutsideCommands, OutsideReader } from "./outside-types.ts";
import type { PeerCommands, PeerQueries } from "./peer-types.ts";
import type { StoredReader } from "./stored.ts";
import type { Vantage } from "./vantage.ts";
import type { KeeperQueries, WouldMiss } from "./keeper-types.ts";

export type { DenyRow } from "./denies.ts";
export { type Change, CHANGE_KINDS, type ChangeKind, type ChangeQuery } from "./feed-types.ts";
export type { ImportRow, LegacyJob } from "./outside-types.ts";
export type { HeldTile, WouldMiss } from "./keeper-types.ts";

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
  /**
   * The keeper's own judgement of a report (default: what its scanner says): a report counts as complete only when this says so too.
   * The record stays as it was signed; of the judgement, complete or partial goes into its acceptance.
   */
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
  /** What `wouldMiss` counted for the tile-completes among these records: the brake sums it up over the tiles of a job. */
  readonly looks?: readonly ({ readonly job: string; readonly tile: number } & WouldMiss)[];
};

/** A record that another ledger accepted. */
export type PeerItem = AcceptItem & { readonly acceptance: Acceptance; /** The region that the log belongs to. */ readonly region: string };

/** At most this many statements, and this many sightings, in one `accept`: keeps the transaction short. */
export const ACCEPT_ITEMS_MAX = 128;
export const ACCEPT_SIGHTINGS_MAX = 40_000;

/** How often a shard is tried, in about an hour, before it is left to the deadline: what made it fail may pass. */
export const ATTEMPTS_MAX = 20;

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

/** When a plan last ran (follow-ups do not count), in whatever region, and what runs of it now, for the scheduler. */
export type PlanRun = {
  readonly planId: string;
  readonly lastPlannedAtMs: number;
  readonly running: readonly { readonly job: string; readonly home: string }[];
};

/** See `Ledger.interruptedJobs`; `tiles`: inclusive runs of abandoned tile numbers, at most 10,000. */
export type InterruptedJob = { readonly id: string; readonly planId: string; readonly tiles: readonly { first: number; last: number }[] };

/** A job that has open tiles. */
export type RunningJob = {
  readonly id: string;
  readonly plan: string;
  readonly planId: string;
  readonly home: string;
  readonly deadlineAtMs: number;
};

/** Commands that the API leaves for the keeper. */
export const COMMAND_KINDS = [
  "start-job",
  "cancel-job",
  "pause-job",
  "resume-job",
  "release-tile",
  "rebuild-ledger",
  "upload",
  "traceroute",
  "add-legacy-job",
  "end-legacy-job",
  "deny",
  "lift-deny",
] as const;
export type CommandKind = (typeof COMMAND_KINDS)[number];
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
  /** All who were the last to see it, in each log, signed with keys that are revoked by now. */
  readonly tainted: boolean;
};

export type ServiceQuery = {
  /** Inclusive. */
  readonly range?: AddressRange;
  readonly port?: number;
  readonly protocol?: Protocol;
  /** `active` (the default) is open and missing. */
  readonly state?: ServiceState | "active" | "all";
  /** Known-good services: default `hide`; `only` leaves the others out. */
  readonly known?: "hide" | "show" | "only";
  /** Only services that one region sees and another one is silent about (see `Vantage`). */
  readonly vantage?: "disagree";
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

export type JobState = "running" | "complete" | "incomplete";
export type Job = {
  readonly id: string;
  readonly plan: string;
  readonly group: string;
  readonly home: string;
  readonly cause: JobSpec["cause"];
  readonly state: JobState;
  /** Its keepers give out none of its shards; what runs goes on. */
  readonly paused: boolean;
  /** Why it ended incomplete, or why it cannot go on. */
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
  /** Why the brake holds it; null also when it was released. */
  readonly held: string | null;
};

export type ScannerLive = Heartbeat & { readonly receivedAtMs: number };
export type ShardQuery = {
  readonly job: string;
  readonly nowMs: number;
  readonly limit?: number;
  readonly cursor?: string;
  readonly tile?: number;
  readonly state?: ShardState;
};

/** What a reader (API, pages) may do: queries, and commands for the keeper. Errors: `unavailable` when the database does not answer. */
export type LedgerReader = OutsideReader &
  Pick<KeeperQueries, "heldTiles"> &
  Pick<PeerQueries, "logStands" | "peers"> & {
    listServices(query: ServiceQuery): Promise<Page<Service>>;
    /** How many known-good services the same query with `hide` leaves out; `known`, `limit` and `cursor` do not matter. */
    countKnown(query: ServiceQuery): Promise<number>;
    /** All services of one address in every state; at most 1,000. */
    host(address: string): Promise<Service[]>;
    counts(): Promise<ServiceCounts>;
    /** Most frequent ports first. */
    portCounts(limit: number): Promise<PortCount[]>;
    /** Services that a filter matches. A page may be short or empty although more follow: only `next` tells (see search/search.ts). */
    search(query: SearchQuery): Promise<Page<Service>>;
    /** How many services a filter matches, and how many known-good ones it hides: exact, or at least so many. */
    searchCounts(context: SearchContext): Promise<SearchCounts>;
    /** The most frequent values among the first 10,000 services that a filter looks at. */
    facets(context: SearchContext, facets: readonly Facet[]): Promise<SearchFacets>;
    listChanges(query: ChangeQuery): Promise<Page<Change>>;
    /** When a service was open, missing, closed; null when nobody has seen it. The three of these read stored sightings: `unavailable` without zstd. */
    history(service: Pick<Service, "address" | "protocol" | "port">): Promise<ServiceHistory | null>;
    /** Services that were open or missing at a moment. A page may be short or empty although more follow: only `next` tells. */
    openAt(query: HistoryPageQuery & { readonly atMs: number }): Promise<Page<ServiceThen>>;
    /** What differs between two moments or jobs; paged as `openAt` is. */
    diff(query: HistoryPageQuery & { readonly a: DiffPoint; readonly b: DiffPoint }): Promise<Page<ServiceDifference>>;
    /** The certificate of a service's verdict (see core/certificate); null when it is not in the register. */
    why(service: Pick<Service, "address" | "protocol" | "port">): Promise<Certificate | null>;
    /** What each region says of some services (a page of them), in their order. */
    vantages(services: readonly Pick<Service, "address" | "protocol" | "port">[]): Promise<Vantage[][]>;
    /** Labels of a page of services, in their order. */
    labels(query: LabelsQuery): Promise<Labels[]>;
    /** Version of the registry whose rules are applied; `marked`: to all services. Null before the first ones. */
    rulesVersion(kind: RuleKind): Promise<{ version: number; marked: boolean } | null>;
    stateHash(sha256: Sha256Hex): Promise<StateHash>;
    /** Newest first. */
    listJobs(query: { limit?: number; cursor?: string; plan?: string; state?: JobState }): Promise<Page<Job>>;
    job(id: string): Promise<Job | null>;
    jobSpec(id: string): Promise<JobSpec | null>;
    listTiles(query: { job: string; limit?: number; cursor?: string }): Promise<Page<TileRow>>;
    listShards(query: ShardQuery): Promise<Page<ShardRow>>;
    /** By tile, shard and attempt. */
    listReports(query: ReportQuery): Promise<Page<ReportRow>>;
    /** What each scanner did for a job, by name. */
    scannerTotals(job: string): Promise<ScannerTotal[]>;
    scanners(): Promise<ScannerLive[]>;
    /** Fresh progress only (younger than 15 s). */
    progress(query: { job: string; nowMs: number }): Promise<Progress[]>;
    frontier(): Promise<Frontier>;
    /** What a commit of this database is worth: `strong` is on disk, `weak` may be lost with the machine; `unknown` when the database does not say. */
    durability(): Promise<LedgerDurability>;
    /** What was denied (see `denySchema`), newest first; `only` "in-force" leaves out what ended by then. */
    listDenies(query: DenyQuery): Promise<Page<DenyRow>>;
    /** Null when this ledger has no such record. */
    deny(id: string): Promise<DenyRow | null>;
    /** Everything that nobody may probe at this moment, merged. */
    denied(nowMs: number): Promise<Denied>;
    /** Logs whose prefix stands before a hole: nothing whose frontier reaches beyond can close anything. */
    holes(): Promise<{ log: string; region: string; prefix: number; highest: number }[]>;
    submitCommand(kind: CommandKind, body: unknown, options: { nowMs: number; ttlMs?: number }): Promise<string>;
    /** Null when the time is over; the keeper may still do it, until the command's own time is over. */
    awaitCommand(id: string, timeoutMs: number): Promise<CommandResult | null>;
  };

/** See `LedgerReader.durability`. */
export type LedgerDurability = "strong" | "weak" | "unknown";

/** What the keeper with the lease may do. Methods with an epoch write nothing (`conflict`) when another keeper has the lease. */
export type Ledger = LedgerReader &
  KeeperQueries &
  PeerQueries &
  OutsideCommands &
  PeerCommands & {
    readonly region: string;
    ensureLog(mintLogId: () => string): Promise<{ log: string; next: number }>;
    /** Null while another holder has it. The same holder gets a new epoch. */
    takeLease(request: LeaseRequest): Promise<Lease | null>;
    /** Whether it was still ours. */
    renewLease(request: LeaseRequest & Lease): Promise<boolean>;
    releaseLease(lease: { holder: string; epoch: number }): Promise<void>;
    /** One transaction: records with the next numbers, their projection, receipts in the order of the items (also for repeats). */
    accept(items: readonly AcceptItem[], context: AcceptContext): Promise<Receipt[]>;
    /** Deferred work (tiles of big jobs, closing passes): does one window, and tells whether more is due. */
    runDeferred(context: { epoch: number; sha256: Sha256Hex; window?: number } & StoredReader): Promise<boolean>;
    /** Rules of the registry: what all plans cover now (`monitored`), and known-good pairs. Marking the services is deferred work. */
    applyRules(kind: RuleKind, rules: RuleSet, context: { epoch: number; sha256: Sha256Hex }): Promise<void>;
    /** Makes the register anew from the records, as deferred work (see rebuild.ts). */
    startRebuild(context: { epoch: number }): Promise<void>;
    openAssignments(query: { region: string; nowMs: number; perScanner: number }): Promise<OpenAssignment[]>;
    completableTiles(query: { home: string; limit: number }): Promise<CompletableTile[]>;
    runningJobs(): Promise<RunningJob[]>;
    /** Inclusive runs of tile numbers that are neither complete nor abandoned, at most 10,000. */
    openTiles(job: string): Promise<{ first: number; last: number }[]>;
    planRuns(): Promise<PlanRun[]>;
    /** Null when the ledger has no such tile (yet). */
    tileState(job: string, tile: number): Promise<TileState | null>;
    /** Jobs of this home, each the newest of its plan, that have ended with tiles `excluded` or `denied`: the rest of those waits for a follow-up. */
    interruptedJobs(home: string): Promise<InterruptedJob[]>;
    /** Whether the assignment is still wanted: job running and not paused, tile open, shard without a complete report, this attempt the one that is due. */
    isWanted(key: Assignment["key"]): Promise<boolean>;
    takeCommands(query: { limit: number; nowMs: number }): Promise<Command[]>;
    finishCommand(id: string, result: CommandResult, context: { epoch: number; nowMs: number }): Promise<void>;
    putHeartbeat(heartbeat: Heartbeat, nowMs: number): Promise<void>;
    putProgress(progress: readonly Progress[], nowMs: number): Promise<void>;
    close(): void;
  };
