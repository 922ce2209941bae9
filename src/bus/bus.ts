import type { LogStreamState } from "./peer.ts";

/** One message of the work queue, held by one claimer until it is acknowledged. */
export type Claim = {
  readonly subject: string;
  readonly data: Uint8Array;
  /** Counts from 1: how often the queue has handed this message out. */
  readonly deliveryCount: number;
  /** Says that the work goes on: restarts the ack wait. Call it at least every `ACK_WAIT_MS / 3`. Never throws. */
  working(): void;
  /** Removes the message for good and waits for the queue's confirmation; throws `PortolanError("unavailable")` when that cannot be had. */
  ack(): Promise<void>;
  /** Gives the message back; it is handed out again after `delayMs`. Never throws. */
  nak(delayMs: number): void;
};

/** What `claim` does while nothing waits: it returns null after `waitMs`, or at once when `signal` aborts. */
export type ClaimOptions = { readonly waitMs: number; readonly signal?: AbortSignal };

/** How much a region's log stream keeps for its peers; what falls out is no loss, they ask for it by `repair.<region>`. */
export type LogStreamLimits = { readonly maxBytes?: number; readonly maxAgeMs?: number };

/** Defaults of `LogStreamLimits`. */
export const LOG_BYTES_MAX = 1024 ** 3;
export const LOG_AGE_MAX_MS = 7 * 86_400_000;

/** Window in which a repeated record id is stored once. */
export const LOG_DUPLICATE_WINDOW_MS = 120_000;

/** Message as a subscriber sees it. */
export type Message = { readonly subject: string; readonly data: Uint8Array };

/** A running subscription; after `stop` no further message reaches the handler. */
export type Subscription = { stop(): void };

/** Ack wait of the work queue: an unacknowledged message is handed out again after it. */
export const ACK_WAIT_MS = 30_000;

/** Messages of one scanner that may be out for work at one time. */
export const ACK_PENDING_MAX = 4;

/** Window in which a repeated message id is stored once. */
export const DUPLICATE_WINDOW_MS = 10_000;

/**
 * What Portolan needs of a message server. Two implementations: NATS and one in memory; one contract test runs both.
 * Every call has a time-out and throws `PortolanError("unavailable")` when the server cannot be reached within it.
 */
export type Bus = {
  /** Sends a request and waits for one reply. "unavailable" when nobody answers within `timeoutMs` or nobody listens. */
  request(subject: string, data: Uint8Array, options: { readonly timeoutMs: number }): Promise<Uint8Array>;
  /** Answers requests; with a queue group one member of it gets each request. A handler that throws leaves the request unanswered. */
  serve(subject: string, options: { readonly queue: string; readonly handler: (message: Message) => Promise<Uint8Array> }): Subscription;
  /** Sends without any guarantee; never throws, does nothing while the server is away. */
  publish(subject: string, data: Uint8Array): void;
  /** Gets what is published from now on; `subject` may hold wildcards (`*` one token, `>` the rest). */
  subscribe(subject: string, handler: (message: Message) => void): Subscription;

  /** Creates the region's work queue, or brings its settings up to date. Repeatable. */
  ensureWorkQueue(region: string): Promise<void>;
  /** Creates one scanner's durable on the work queue. Repeatable. */
  ensureClaimer(region: string, scanner: string): Promise<void>;
  /** Removes a scanner's durable; its messages stay. Repeatable. */
  removeClaimer(region: string, scanner: string): Promise<void>;
  /** Puts one assignment on the queue, durable on the server's disk; a repeat of `id` within the window is stored once. */
  enqueue(
    region: string,
    message: { readonly subject: string; readonly data: Uint8Array; readonly id: string },
  ): Promise<{ duplicate: boolean }>;
  /** Exact subjects that wait or are out for work, at most 10,000, sorted; `filter` may hold wildcards. */
  queued(region: string, filter: string): Promise<string[]>;
  /** Removes one message by its exact subject; a wildcard is refused. Returns how many went. */
  purge(region: string, subject: string): Promise<number>;
  /** Next assignment of one scanner, or null. */
  claim(region: string, scanner: string, options: ClaimOptions): Promise<Claim | null>;

  /** Creates the region's log stream, or brings its settings up to date: oldest records go first. Repeatable. */
  ensureLogStream(region: string, limits?: LogStreamLimits): Promise<void>;
  /** Where the region's log stream stands; a `lastSeq` below what was published before means that the server lost something. */
  logStreamState(region: string): Promise<LogStreamState>;
  /** Appends one record, durable on the server's disk as far as it goes; a repeat of `id` within the window is stored once and gets the first one's `seq`. */
  publishRecord(
    region: string,
    message: { readonly subject: string; readonly data: Uint8Array; readonly id: string },
  ): Promise<{ seq: number; duplicate: boolean }>;
  /** Moves the stream forward: the next record gets sequence `seq` or, if the stream is there already, the one that it would have got. What lies below `seq` goes. */
  raiseLogStream(region: string, seq: number): Promise<void>;

  /** Whether the server answered lately; for health checks and log lines. */
  connected(): boolean;
  /** Ends all subscriptions and the connection; messages in hand are sent before. Repeatable. */
  close(): Promise<void>;
};
