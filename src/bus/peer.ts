/** One message of a region's log stream. */
export type LogMessage = { readonly seq: number; readonly data: Uint8Array };

/** Where a region's log stream stands; all 0 for an empty one. */
export type LogStreamState = { readonly firstSeq: number; readonly lastSeq: number; readonly messages: number };

/**
 * What a keeper needs of another region's message server. Two implementations: NATS and one in memory; one contract test runs both.
 * Every call has a time-out and throws `PortolanError("unavailable")` when the server cannot be reached within it.
 */
export type PeerLink = {
  readonly region: string;
  streamState(): Promise<LogStreamState>;
  /**
   * Messages of the peer's log stream with sequence ≥ `fromSeq`, as they come, until `signal` aborts; ends (without an error) after a lost connection:
   * ask again from the checkpoint. A start beyond the end is clamped by the server, so compare with `streamState` first.
   */
  follow(options: { readonly fromSeq: number; readonly signal: AbortSignal }): AsyncIterable<LogMessage>;
  /** Request/reply, as `repair.<region>`. */
  request(subject: string, data: Uint8Array, options: { readonly timeoutMs: number }): Promise<Uint8Array>;
  connected(): boolean;
  close(): Promise<void>;
};
