import { PortolanError } from "../core/errors.ts";
import { isPositionTaken, leaseLost, projectIfValid, recordStatements, refuseTooMuch, sightingsOf } from "./append.ts";
import type { Database, Sql } from "./database.ts";
import type { PeerBatch } from "./peer-types.ts";
import { claimLease, isLeaseLost, SETTLE } from "./settle.ts";
import { ACCEPT_ITEMS_MAX, ACCEPT_SIGHTINGS_MAX, type AcceptContext, type PeerItem } from "./types.ts";

type ApplyContext = Pick<AcceptContext, "epoch" | "nowMs" | "sha256" | "compress">;

/** One transaction: see `PeerCommands.applyPeers`. */
export async function applyBatch(database: Database, { items, checkpoint }: PeerBatch, context: ApplyContext): Promise<void> {
  refuseTooMuch(items);
  const positioned = items.map((item) => ({ item, acceptance: item.acceptance }));
  const logs = new Map(items.map(({ acceptance, region }) => [acceptance.log, region]));
  const stampMs = items.reduce((latest, { acceptance }) => Math.max(latest, acceptance.stampMs), context.nowMs);
  const read = checkpoint === undefined ? [] : [moveCheckpoint(checkpoint)];
  const records: Sql[] =
    items.length === 0
      ? []
      : [
          {
            sql: `insert into log(id, region) select value->>0, value->>1 from json_each(?1) where true
              on conflict do update set region = excluded.region where region = ''`,
            args: [JSON.stringify([...logs])],
          },
          proveForeign(items),
          ...recordStatements(positioned, context, projectIfValid),
          ...SETTLE,
        ];
  try {
    await database.batch([claimLease(context.epoch, items.length === 0 ? 0 : stampMs), ...records, ...read], "write");
  } catch (error) {
    if (isLeaseLost(error)) throw leaseLost(error);
    if (isPositionTaken(error)) {
      throw new PortolanError(
        "conflict",
        "a peer holds another record at a position of this ledger, or more of its own log than it does itself; the log has to be given up",
        { cause: error },
      );
    }
    throw error;
  }
}

/** Fails the transaction for a record of the own log that is not here: a peer then holds more of it than we do, or something else. */
function proveForeign(items: readonly PeerItem[]): Sql {
  return {
    sql: `insert into record(log, rseq, id, kind, stamp_ms, chain, signature, author, body, zstd)
      select null, 0, x'', '', 0, x'', '', '', '', 0 from json_each(?1) k cross join log l on l.id = k.value->>0 and l.own = 1
      where not exists (select 1 from record r where r.log = l.n and r.rseq = k.value->>1 and r.chain = unhex(k.value->>2))`,
    args: [JSON.stringify(items.map(({ acceptance: { log, rseq, chain } }) => [log, rseq, chain]))],
  };
}

/** It never goes back by itself: a repeat that comes late changes nothing. */
function moveCheckpoint({ region, seq }: { readonly region: string; readonly seq: number }): Sql {
  return {
    sql: "insert into peer(region, checkpoint) values (?1, ?2) on conflict do update set checkpoint = max(checkpoint, excluded.checkpoint)",
    args: [region, seq],
  };
}

/** Cuts a batch into what one transaction takes each; the checkpoint goes with the last one. */
export function cutBatch({ items, checkpoint }: PeerBatch): PeerBatch[] {
  const cut: PeerItem[][] = [[]];
  let sightings = 0;
  for (const item of items) {
    const last = cut.at(-1) ?? [];
    sightings += sightingsOf(item);
    if (last.length > 0 && (last.length >= ACCEPT_ITEMS_MAX || sightings > ACCEPT_SIGHTINGS_MAX)) {
      cut.push([item]);
      sightings = sightingsOf(item);
    } else last.push(item);
  }
  return cut.map((part, index) => ({
    items: part,
    ...(index < cut.length - 1 || checkpoint === undefined ? {} : { checkpoint }),
  }));
}
