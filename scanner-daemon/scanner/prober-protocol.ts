/** Answer to one TCP connect: `o` open, `c` closed (RST), `f` filtered (no answer in time, or unreachable), `e` local error: not probed. */
export type ConnectAnswer = "o" | "c" | "f" | "e";

/** Address in text, port. */
export type ProbePair = readonly [address: string, port: number];

/** Pairs in one `connect` request, at most. */
export const PAIRS_PER_REQUEST_MAX = 256;

/** What the daemon writes to the prober's stdin, one JSON object per line. Each request gets exactly one reply with its id. */
export type ProberRequest =
  | { readonly id: number; readonly op: "look"; readonly interface: string | null }
  | { readonly id: number; readonly op: "poke"; readonly address: string; readonly port: number }
  | {
      readonly id: number;
      readonly op: "connect";
      readonly pairs: readonly ProbePair[];
      readonly timeoutMs: number;
      /** Connects that are open at one time, at most. */
      readonly parallel: number;
      readonly ratePps: number;
      /** Further tries of a pair without an answer. */
      readonly retries: number;
    };

/** What the prober sees of the place in which it was started. */
export type ProberView = {
  /** Identity of its network namespace (`net:[4026531840]`). */
  readonly network: string;
  /** Whether its capabilities allow raw sockets. */
  readonly rawSockets: boolean;
  /** Whether /etc/masscan/masscan.conf is visible: masscan would read it unasked. */
  readonly ambientConfig: boolean;
  /** Interface of the default route, or the one asked for; null without either. */
  readonly interface: string | null;
  /** Router of the default route, IPv4 or IPv6. */
  readonly router: string | null;
  /** Receive errors and drops of the interface since it came up. */
  readonly drops: number;
};

/** What the prober writes to its stdout, one JSON object per line. */
export type ProberReply =
  | { readonly id: number; readonly op: "look"; readonly view: ProberView }
  | { readonly id: number; readonly op: "poke"; readonly sent: boolean }
  /** `answers` holds one `ConnectAnswer` per pair, in order; `error` the first local error. */
  | { readonly id: number; readonly op: "connect"; readonly answers: string; readonly tries: number; readonly error: string | null }
  | { readonly id: number; readonly op: "failed"; readonly problem: string };
