import { formatPorts } from "../../src/core/port.ts";
import { rangesText } from "../../src/core/range.ts";
import { evenShareOf, heldReason } from "../../src/core/verdict/brake.ts";
import type { HeldTile, WouldMiss } from "../../src/ledger/keeper-types.ts";
import type { CompletableTile } from "../../src/ledger/types.ts";
import type { KeeperDeps } from "./deps.ts";
import type { JobFacts, Specs } from "./specs.ts";
import type { Writer } from "./writer.ts";

const NOTHING = { open: 0, missed: 0 };

/** Of what one look missed and of what both missed: two looks agree from this part on. */
const AGREED_PERCENT_MIN = 90;

/**
 * Writes the tile-complete of one tile. The brake holds it when it would miss suspiciously much, unless it misses the same as
 * the held tile of an earlier job of the plan: then neither is held any more, by one transaction.
 */
export async function completeTile(
  deps: KeeperDeps,
  { writer, specs }: { readonly writer: Writer; readonly specs: Specs },
  { job, tile, reports }: CompletableTile,
  held: readonly HeldTile[],
): Promise<void> {
  const { tile: look, jobSoFar } = await deps.ledger.wouldMiss({ job, tile });
  const shards = await deps.ledger.shardFinds({ job, tile });
  const evenShare = evenShareOf(shards);
  const reason = heldReason({ tile: look, jobSoFar, shards, evenShare });
  // A look with a poor shard is no second opinion.
  const isPoor = heldReason({ tile: NOTHING, jobSoFar: NOTHING, shards, evenShare }) !== null;
  const agreed = isPoor ? [] : await agreeingTiles(deps, specs, { job, tile, look }, held);
  const isHeld = reason !== null && agreed.length === 0;
  const content = { version: 1 as const, job, tile, reports: [...reports], held: isHeld ? reason : null };
  const complete = writer.own({ kind: "tile-complete", content });
  const releases = agreed.map((earlier) => {
    const { tileComplete } = earlier;
    const said = { cause: "next-job" as const, by: `keeper ${deps.name}`, agreeing: complete.id };
    return writer.own({ kind: "release", content: { version: 1, job: earlier.job, tile: earlier.tile, tileComplete, ...said } });
  });
  // What an earlier look had missed too speaks for this job, not against its other tiles.
  const missed = agreed.length > 0 ? 0 : look.missed;
  await writer.write([complete, ...releases], { looks: [{ job, tile, ...look, missed }] });
  if (isHeld) deps.log.warning(`tile ${tile} of job ${job} is held: ${reason}; "portolan job release" lets it count`);
  else deps.log.info(`tile ${tile} is complete`, { job });
  for (const earlier of agreed) deps.log.info(`tile ${tile} of job ${earlier.job} is released: the next job agrees`, { job });
}

type Look = { readonly job: string; readonly tile: number; readonly look: WouldMiss };

/** Held tiles of earlier jobs of the plan with the very same pairs that missed what this look misses. */
async function agreeingTiles(deps: KeeperDeps, specs: Specs, { job, tile, look }: Look, held: readonly HeldTile[]): Promise<HeldTile[]> {
  const agreed: HeldTile[] = [];
  const facts = held.some((one) => one.tile === tile && one.job !== job) ? await specs.get(job) : null;
  for (const earlier of held) {
    if (facts === null || earlier.planId !== facts.spec.plan.id || earlier.tile !== tile || earlier.job === job || earlier.look === null)
      continue;
    const before = await specs.get(earlier.job);
    if (before === null || before.spec.plannedAtMs > facts.spec.plannedAtMs || pairsText(before, tile) !== pairsText(facts, tile)) continue;
    // What it would miss now is what nobody has seen since, this look included.
    const { tile: both } = await deps.ledger.wouldMiss({ job: earlier.job, tile });
    if (isMost(both.overruled, earlier.look.overruled) && isMost(both.overruled, look.overruled)) agreed.push(earlier);
  }
  return agreed;
}

function isMost(part: number, whole: number): boolean {
  return part * 100 >= whole * AGREED_PERCENT_MIN;
}

function pairsText(job: JobFacts, index: number): string {
  if (index >= job.tiling.count) return "";
  const { tile } = job.tile(index);
  return `${rangesText(tile.ranges).join()} ${formatPorts(tile.ports)}`;
}
