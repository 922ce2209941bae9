/** The outside of the program: tests bring their own. */
export type Io = {
  /** Data, and nothing else. */
  readonly stdout: Sink;
  /** Everything that is not data. */
  readonly stderr: Sink;
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly cwd: string;
  readonly fetch: (request: Request) => Promise<Response>;
  /** Milliseconds since 1970. */
  readonly now: () => number;
  /** Ends early, without an error, when `signal` says so. */
  readonly sleep: (durationMs: number) => Promise<void>;
  /** Aborted by Ctrl-C. */
  readonly signal: AbortSignal;
};

export type Sink = {
  readonly isTTY: boolean;
  /** Characters in a line; 80 when unknown. */
  readonly columns: number;
  write(text: string): void;
  /** The stream itself, for live bars; null where there is none. */
  readonly stream: NodeJS.WriteStream | null;
};

/** Exit codes; part of the command line's promise. What they mean stands in exit-codes.ts. */
export const EXIT = { ok: 0, findings: 1, usage: 2, auth: 3, notFound: 4, unavailable: 5, partial: 6, interrupted: 130 } as const;
