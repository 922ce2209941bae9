import type { TileAbandoned } from "../../src/core/messages/record.ts";
import { ACCEPT_ITEMS_MAX, type AcceptContext, type RunningJob } from "../../src/ledger/types.ts";
import type { KeeperDeps } from "./deps.ts";
import type { Writer } from "./writer.ts";

/** Ends tiles: with coverage when all their shards are complete, without it at the deadline or on request. */
export type Tiles = {
  /** Writes a tile-complete for each tile of our jobs that may have one. */
  complete(): Promise<void>;
  /** Abandons what is open in our jobs past their deadline, and says what was missing. */
  expire(): Promise<void>;
  /** Abandons all open tiles of a job; `finishes` is committed with the last record. Returns how many records it took. */
  abandon(job: string, why: Pick<TileAbandoned, "cause" | "detail">, finishes?: AcceptContext["finishes"]): Promise<number>;
};

const ROUNDS_MAX = 64;
const RUNS_PER_RECORD_MAX = 5_000;
const DETAIL_CHARS_MAX = 300;
const SHARDS_LOOKED_AT = 200;

/** Makes what ends the tiles of this region's own jobs. */
export function createTiles(deps: KeeperDeps, writer: Writer): Tiles {
  const abandon: Tiles["abandon"] = async (job, why, finishes) => {
    let records = 0;
    for (; records < ROUNDS_MAX; records += 1) {
      const runs = await deps.ledger.openTiles(job);
      if (runs.length === 0) return records;
      const tiles = runs.slice(0, RUNS_PER_RECORD_MAX);
      const item = writer.own({ kind: "tile-abandoned", content: { version: 1, job, tiles, ...why } });
      await writer.write([item], tiles.length === runs.length ? finishes : undefined);
      if (tiles.length === runs.length) return records + 1;
    }
    return records;
  };
  return {
    abandon,
    complete: async () => {
      for (let round = 0; round < ROUNDS_MAX; round += 1) {
        const tiles = await deps.ledger.completableTiles({ home: deps.region, limit: ACCEPT_ITEMS_MAX });
        if (tiles.length === 0) return;
        const contents = tiles.map(({ job, tile, reports }) => ({ version: 1 as const, job, tile, reports: [...reports], held: null }));
        await writer.write(contents.map((content) => writer.own({ kind: "tile-complete", content })));
        deps.log.info(`${tiles.length} tiles are complete`, { jobs: [...new Set(tiles.map(({ job }) => job))] });
      }
    },
    expire: async () => {
      for (const job of await deps.ledger.runningJobs()) {
        if (job.home !== deps.region || job.deadlineAtMs > deps.nowMs()) continue;
        const detail = await missing(deps, job);
        await abandon(job.id, { cause: "deadline", detail });
        deps.log.warning(`job ${job.id} of plan "${job.plan}" ends incomplete: ${detail}`);
      }
    },
  };
}

/** In words: which shards were missing at the deadline and the first known reason. */
async function missing(deps: KeeperDeps, job: RunningJob): Promise<string> {
  const { items } = await deps.ledger.listShards({ job: job.id, nowMs: deps.nowMs(), limit: SHARDS_LOOKED_AT });
  const open = items.filter((shard) => shard.state !== "complete" && shard.state !== "abandoned");
  const scanners = [...new Set(open.map((shard) => shard.scanner))].toSorted();
  const reason = open.find((shard) => shard.problem !== null);
  const who = scanners.length === 0 ? "" : `; shards of ${scanners.slice(0, 5).join(", ")} were missing`;
  const why = reason === undefined ? "" : `; tile ${reason.tile} shard ${reason.shard}: ${reason.problem ?? ""}`;
  return `not all tiles were complete at the deadline${who}${why}`.slice(0, DETAIL_CHARS_MAX);
}
