import type { ImportCounts } from "../core/import/tally.ts";
import type { Protocol } from "../core/port.ts";

/** What the keeper is told about the columns of an upload; `id` is the record's, so that the same content is one command and one record. */
export type UploadCommand = {
  readonly id: string;
  readonly body: unknown;
  readonly payload: Uint8Array;
};

/** A file that was handed in whole. */
export type ImportRow = {
  readonly id: string;
  readonly source: string;
  readonly format: string;
  readonly counts: ImportCounts;
  /** Records that it became, those that this ledger holds, and those that wait for the keeper. */
  readonly records: number;
  readonly held: number;
  readonly waiting: number;
  readonly createdAtMs: number;
};

export type NewImport = Pick<ImportRow, "id" | "source" | "format" | "counts"> & { readonly records: readonly string[] };

export type LegacyJobState = "open" | "received" | "cancelled" | "expired";

/** A job for programs that ask for a list and send results by number. It has no coverage. */
export type LegacyJob = {
  /** Of this region's ledger; never given twice. */
  readonly number: number;
  readonly cidr: string;
  readonly ports: string;
  readonly protocol: Protocol;
  readonly requestedBy: string;
  readonly state: LegacyJobState;
  readonly createdAtMs: number;
  readonly expiresAtMs: number | null;
  /** When the first results came. */
  readonly receivedAtMs: number | null;
};

/** `origin` tells the same wish from another one: asking again gives the job that is there. */
export type NewLegacyJob = Pick<LegacyJob, "cidr" | "ports" | "protocol" | "requestedBy" | "expiresAtMs"> & { readonly origin: string };

export type Traceroute = {
  readonly address: string;
  readonly region: string;
  readonly source: string;
  readonly path: string;
  readonly atS: number;
};

/** What the API does for those who send from outside. */
export type OutsideReader = {
  /** Leaves sightings for the keeper; the same id again changes nothing unless it failed. Throws `unavailable` when too much waits. */
  submitUpload(upload: UploadCommand, options: { nowMs: number; ttlMs: number }): Promise<void>;
  /** Repeatable. */
  putImport(row: NewImport, nowMs: number): Promise<void>;
  importOf(id: string): Promise<ImportRow | null>;
  /** By number, from `after` (exclusive) on. */
  legacyJobs(query: { nowMs: number; open?: boolean; after?: number; limit: number }): Promise<LegacyJob[]>;
  legacyJob(number: number, nowMs: number): Promise<LegacyJob | null>;
  /** The newest one of this region, else of any other; null when there is none. */
  traceroute(address: string): Promise<Traceroute | null>;
};

/** What the keeper does with it. Those with an epoch write nothing (`conflict`) when another keeper has the lease. */
export type OutsideCommands = {
  /** Bytes of a command; null when it has none, or is done. */
  commandPayload(id: string): Promise<Uint8Array | null>;
  /** Gives the job's number; the same origin gets the same one. */
  addLegacyJob(job: NewLegacyJob, context: { epoch: number; nowMs: number }): Promise<number>;
  /** The first results came, or somebody called it off. Repeatable; false when there is no such job. */
  endLegacyJob(number: number, how: "received" | "cancelled", context: { epoch: number; nowMs: number }): Promise<boolean>;
};
