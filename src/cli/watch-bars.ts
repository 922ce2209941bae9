import { MultiBar, type SingleBar } from "cli-progress";
import { formatCount, formatDuration, formatPercent, formatRate } from "../web/format.ts";
import type { Shard } from "./commands/job-common.ts";
import { visible } from "./text.ts";
import type { Look, Watcher } from "./watch.ts";

const BARS_MAX = 20;
const WORK_MAX = 1_000;
/** Label of the first bar; no scanner can have this name. */
const TILES = "tiles:";

/** One bar for the tiles of the job and one for each scanner at work, redrawn in place. */
export function createBars(stream: NodeJS.WriteStream): Watcher {
  const bars = new MultiBar({
    stream,
    format: "{label} {bar} {percentText} {detail}",
    barCompleteChar: "█",
    barIncompleteChar: "░",
    barsize: 24,
    hideCursor: true,
    clearOnComplete: false,
    stopOnComplete: false,
    emptyOnZero: true,
    fps: 5,
    // Ctrl-C is ours: it ends the watching with its own exit code.
    gracefulExit: false,
  });
  const known = new Map<string, SingleBar>();
  let hasEnded = false;
  const bar = (label: string): SingleBar | null => {
    const found = known.get(label);
    if (found !== undefined || known.size >= BARS_MAX) return found ?? null;
    const made = bars.create(WORK_MAX, 0, { label: padded(label), percentText: "", detail: "" });
    known.set(label, made);
    return made;
  };
  const show = ({ job, running }: Look): void => {
    const { total, complete, abandoned } = job.tiles;
    const percent = total === 0 ? 0 : (100 * complete) / total;
    const ratePps = running.reduce((sum, shard) => sum + (shard.ratePps ?? 0), 0);
    const gone = abandoned > 0 ? `, ${formatCount(abandoned)} abandoned` : "";
    draw(
      bar(TILES),
      percent,
      `${formatCount(complete)} of ${formatCount(total)}${gone}${running.length > 0 ? `  ${formatRate(ratePps)}` : ""}`,
    );
    const atWork = new Map(running.map((shard) => [shard.scanner, shard]));
    for (const [scanner, shard] of atWork) draw(bar(scanner), shard.percent ?? 0, detailOf(shard));
    const rest = job.state === "running" ? "waits" : "";
    for (const [label, idle] of known) if (label !== TILES && !atWork.has(label)) draw(idle, 0, rest);
  };
  return {
    show,
    note: (text) => bars.log(`${text}\n`),
    end: (job) => {
      if (hasEnded) return;
      hasEnded = true;
      if (job !== null) show({ job, running: [] });
      bars.stop();
    },
  };
}

function draw(bar: SingleBar | null, percent: number, detail: string): void {
  bar?.update(Math.round((percent / 100) * WORK_MAX), { percentText: formatPercent(percent).padStart(5), detail });
}

function detailOf({ tile, shard, attempt, ratePps, found, remainingS }: Shard): string {
  const parts = [
    `tile ${tile} shard ${shard}${attempt > 1 ? ` attempt ${attempt}` : ""}`,
    formatRate(ratePps ?? 0),
    `${formatCount(found ?? 0)} found`,
  ];
  if (remainingS !== null) parts.push(`${formatDuration(remainingS)} left`);
  return parts.join("  ");
}

function padded(label: string): string {
  return visible(label).slice(0, 20).padEnd(14);
}
