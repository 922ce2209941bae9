import type { TileAbandoned } from "../../src/core/messages/record.ts";
import type { AcceptContext, RunningJob } from "../../src/ledger/types.ts";
import { completeTile } from "./brake.ts";
import type { KeeperDeps } from "./deps.ts";
import { commonRuns, type TileRun } from "../../src/core/tile-stride.ts";
import type { Specs } from "./specs.ts";
import type { Writer } from "./writer.ts";

/** Ends tiles: with coverage when all their shards are complete, without it at the deadline or on request. */
export type Tiles = {
  /** Writes tile-completes for tiles of our jobs that may have one; the brake holds some. Returns whether there may be more. */
  complete(): Promise<boolean>;
  /** Abandons what is open in our jobs past their deadline, and says what was missing. */
  expire(): Promise<void>;
  /** Abandons all open tiles of a job, or those among `only`; `finishes` is committed with the last record. Returns how many records it took. */
  abandon(
    job: string,
    why: Pick<TileAbandoned, "cause" | "detail">,
    also?: { readonly finishes?: AcceptContext["finishes"]; readonly only?: readonly TileRun[] },
  ): Promise<number>;
};

const ROUNDS_MAX = 64;
/** The rest waits for the next round, so that other work goes on in between. */
const TILES_PER_ROUND = 32;
const RUNS_PER_RECORD_MAX = 5_000;
const DETAIL_CHARS_MAX = 300;
const SHARDS_LOOKED_AT = 200;

/** Makes what ends the tiles of this region's own jobs. */
export function createTiles(deps: KeeperDeps, { writer, specs }: { readonly writer: Writer; readonly specs: Specs }): Tiles {
  const abandon: Tiles["abandon"] = async (job, why, { finishes, only } = {}) => {
    let records = 0;
    for (; records < ROUNDS_MAX; records += 1) {
      const open = await deps.ledger.openTiles(job);
      const runs = only === undefined ? open : commonRuns(open, only);
      if (runs.length === 0) return records;
      const tiles = runs.slice(0, RUNS_PER_RECORD_MAX);
      const item = writer.own({ kind: "tile-abandoned", content: { version: 1, job, tiles, ...why } });
      await writer.write([item], tiles.length === runs.length && finishes !== undefined ? { finishes } : {});
      if (tiles.length === runs.length) return records + 1;
    }
    return records;
  };
  return {
    abandon,
    complete: async () => {
      const tiles = await deps.ledger.completableTiles({ home: deps.region, limit: TILES_PER_ROUND });
      if (tiles.length === 0) return false;
      const held = await deps.ledger.heldTiles({ home: deps.region });
      // One after the other: what the brake sums up over a job has to be committed first.
      for (const tile of tiles) await completeTile(deps, { writer, specs }, tile, held);
      return tiles.length === TILES_PER_ROUND;
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

/** In words: why nothing could run, if nothing could, which shards were missing at the deadline and the first known reason. */
async function missing(deps: KeeperDeps, job: RunningJob): Promise<string> {
  const { items } = await deps.ledger.listShards({ job: job.id, nowMs: deps.nowMs(), limit: SHARDS_LOOKED_AT });
  const open = items.filter((shard) => shard.state !== "complete" && shard.state !== "abandoned");
  const scanners = [...new Set(open.map((shard) => shard.scanner))].toSorted();
  const reason = open.find((shard) => shard.problem !== null);
  const blocked = (await deps.ledger.blockedJobs()).find((one) => one.id === job.id);
  const who = scanners.length === 0 ? "" : `; shards of ${scanners.slice(0, 5).join(", ")} were missing`;
  const why = reason === undefined ? "" : `; tile ${reason.tile} shard ${reason.shard}: ${reason.problem ?? ""}`;
  const idle = blocked === undefined ? "" : `; ${blocked.why}`;
  return `not all tiles were complete at the deadline${idle}${who}${why}`.slice(0, DETAIL_CHARS_MAX);
}
