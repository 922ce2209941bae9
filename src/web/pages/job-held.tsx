/** @jsxRuntime automatic @jsxImportSource hono/jsx */
import type { HeldTile, Job } from "../../ledger/types.ts";
import { formatCount, plural } from "../format.ts";
import { When } from "../parts.tsx";
import { paths } from "../paths.ts";

const SHOWN_MAX = 20;

/** What the brake holds back, why, and a form that lets it count. */
export function HeldTiles({ job, held, nowMs }: { readonly job: Job; readonly held: readonly HeldTile[]; readonly nowMs: number }) {
  if (held.length === 0) return null;
  return (
    <section class="held" aria-labelledby="held-heading">
      <h2 id="held-heading">The brake holds {plural(held.length, "tile")}</h2>
      <p>
        So much missing at once may be a blind scanner or a network that was down, so nothing is missing or closed because of{" "}
        {held.length === 1 ? "this tile" : "these tiles"} yet. The next job of the plan lets {held.length === 1 ? "it" : "them"} count when
        it agrees; an operator can do so now.
      </p>
      <ul class="plain-list">
        {held.slice(0, SHOWN_MAX).map((tile) => (
          <li>
            <div class="held-tile">
              <div>
                <strong>Tile {formatCount(tile.tile)}</strong>: {tile.reason}
                <div class="quiet">
                  held <When timeMs={tile.heldAtMs} nowMs={nowMs} />
                </div>
              </div>
              <form method="post" action={paths.releaseTile(job.id, tile.tile)}>
                <button class="button-quiet" type="submit">
                  Release<span class="visually-hidden"> tile {tile.tile}</span>
                </button>
              </form>
            </div>
          </li>
        ))}
      </ul>
      {held.length > SHOWN_MAX && <p class="quiet">and {formatCount(held.length - SHOWN_MAX)} more</p>}
    </section>
  );
}

/** Pause, or go on: what is running is not stopped. */
export function PauseForm({ job }: { readonly job: Job }) {
  if (job.state !== "running") return null;
  return (
    <form class="job-actions" method="post" action={job.paused ? paths.resumeJob(job.id) : paths.pauseJob(job.id)}>
      <button class="button-quiet" type="submit">
        {job.paused ? "Resume" : "Pause"}
        <span class="visually-hidden"> this job</span>
      </button>
    </form>
  );
}
