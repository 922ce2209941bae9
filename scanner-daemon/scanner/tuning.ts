import type { RunTiming } from "./run.ts";
import type { SenderTiming } from "./send.ts";

/** Pace and limits of a scanner. */
export type ScannerTuning = {
  readonly heartbeatMs: number;
  readonly claimWaitMs: number;
  /** Age at which readiness is checked again before a claim. */
  readonly readyMaxAgeMs: number;
  readonly sealEveryMs: number;
  readonly diskFreeBytesMin: number;
  /** From the end of one round of confirming connects to the next; three rounds have to last at least 10 s. */
  readonly lookEveryMs: number;
  readonly run: Partial<RunTiming>;
  readonly sender: Partial<SenderTiming>;
};

/** What a real scanner uses. */
export const SCANNER_TUNING: ScannerTuning = {
  heartbeatMs: 1_000,
  claimWaitMs: 5_000,
  readyMaxAgeMs: 10_000,
  sealEveryMs: 2_000,
  diskFreeBytesMin: 32 * 1024 * 1024,
  lookEveryMs: 5_000,
  run: {},
  sender: {},
};
