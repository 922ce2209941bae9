import { PortolanError } from "../core/errors.ts";
import type { Sha256Hex } from "../core/statement.ts";
import type { Sql } from "./database.ts";
import { insertRecord, type Positioned, project } from "./project.ts";
import { ACCEPT_ITEMS_MAX, ACCEPT_SIGHTINGS_MAX, type AcceptContext, type AcceptItem } from "./types.ts";

/** What scanners say themselves. */
const SCANNER_KINDS: ReadonlySet<string> = new Set(["part", "report", "probe"]);

/** Records with their positions, the stamps of their logs and signers, and what they mean to the register. */
export function recordStatements(
  positioned: readonly Positioned[],
  context: Pick<AcceptContext, "sha256" | "compress">,
  projection: typeof project,
): Sql[] {
  const stamps = positioned.map(({ acceptance }) => [acceptance.log, acceptance.stampMs]);
  const signers = positioned
    .filter(({ item }) => SCANNER_KINDS.has(item.statement.kind))
    .map(({ item, acceptance }) => [item.author.publicKey, item.author.name, acceptance.stampMs]);
  return [
    ...positioned.map((one) => insertRecord(one, context.compress)),
    {
      sql: `update log set last_stamp_ms = max(last_stamp_ms, (select max(value->>1) from json_each(?1) where value->>0 = log.id))
        where id in (select value->>0 from json_each(?1))`,
      args: [JSON.stringify(stamps)],
    },
    {
      sql: `insert into signer(key, name, last_stamp_ms) select value->>0, value->>1, max(value->>2) from json_each(?1) where true group by 1
        on conflict do update set last_stamp_ms = max(last_stamp_ms, excluded.last_stamp_ms)`,
      args: [JSON.stringify(signers)],
    },
    ...positioned.flatMap((one) => projection(one, context.sha256)),
  ];
}

/** What a peer accepted is kept even when it means nothing here: a gap in its log would stop all closing. */
export function projectIfValid(positioned: Positioned, sha256: Sha256Hex): Sql[] {
  try {
    return project(positioned, sha256);
  } catch (error) {
    if (error instanceof PortolanError && error.code === "invalid") return [];
    throw error;
  }
}

/** Sightings that a statement carries. */
export function sightingsOf({ statement }: Pick<AcceptItem, "statement">): number {
  return statement.kind === "part" || statement.kind === "upload" ? statement.content.sightings : 0;
}

/** Throws `too-large` for what one transaction must not take. */
export function refuseTooMuch(items: readonly AcceptItem[]): void {
  const sightings = items.reduce((sum, item) => sum + sightingsOf(item), 0);
  if (items.length > ACCEPT_ITEMS_MAX || sightings > ACCEPT_SIGHTINGS_MAX) {
    throw new PortolanError(
      "too-large",
      `${items.length} records with ${sightings} sightings at once; the ledger takes ${ACCEPT_ITEMS_MAX} and ${ACCEPT_SIGHTINGS_MAX}: send fewer`,
    );
  }
}

/** Whether a write failed because a position, or a record's place in a log, is taken already. */
export function isPositionTaken(error: unknown): boolean {
  return error instanceof Error && /(UNIQUE|NOT NULL) constraint failed: record\./.test(error.message);
}

/** The `conflict` that a keeper gets whose lease another one has. */
export function leaseLost(cause: unknown): PortolanError {
  return new PortolanError("conflict", "another keeper of this region has the lease; this one writes nothing", { cause });
}
