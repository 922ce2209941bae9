import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Sighting } from "../../src/core/columns.ts";
import { openLoop } from "./ingest-loop.ts";
import { type BenchRegion, startBenchRegion } from "./ingest-region.ts";
import type { BenchLine, BenchResult } from "./result.ts";
import { benchParts } from "./sightings.ts";

const SIGHTINGS = 1_000_000;
/** The rivals take turns, so that a slow spell of the machine meets all of them. */
const TURNS = 5;
const RIVALS = ["keeper", "same tables", "bare table"] as const;
type Rival = (typeof RIVALS)[number];
type Seconds = Record<Rival, number>;

/**
 * Sightings from NATS to committed record and projection, by a real keeper on a real sqld, against loops of prepared
 * statements in better-sqlite3; all sightings for the first time, then all of them again for a second job.
 */
export async function benchIngest({ sightings = SIGHTINGS }: { sightings?: number } = {}): Promise<BenchResult> {
  const dir = mkdtempSync(join(tmpdir(), "portolan-bench-"));
  const parts = benchParts(sightings);
  const loops = { "same tables": openLoop("same tables"), "bare table": openLoop("bare table") };
  let region: BenchRegion | null = null;
  try {
    region = await startBenchRegion(join(dir, "data"));
    const resting = region.keeperMemory();
    const first = await race(region, loops, parts, "first");
    const afterFirst = region.keeperMemory();
    const again = await race(region, loops, parts, "again");
    const afterAgain = region.keeperMemory();
    const longest = await region.longestCommitMs();
    return {
      bench: "ingest",
      lines: [
        ...ratios("first sight", first.seconds),
        ...ratios("again", again.seconds),
        ...rates("first sight", sightings, first.seconds),
        ...rates("again", sightings, again.seconds),
        ...(longest === null ? [] : [plain("keeper: longest transaction", longest, "ms")]),
        plain("loop, same tables: longest transaction", loops["same tables"].longestTransactionMs(), "ms"),
        plain("keeper: memory at rest", resting.residentMb, "MB"),
        plain("keeper: memory after first sight", afterFirst.residentMb, "MB"),
        plain("keeper: memory after again", afterAgain.residentMb, "MB"),
        { what: "keeper: peak memory", value: afterAgain.peakMb, unit: "MB", budget: { atMost: 200 } },
      ],
      notes: [
        `${sightings.toLocaleString("en")} sightings in ${parts.length} signed parts, sorted; ${TURNS} turns of each`,
        ...[first, again].map(({ label, processor, later }) => {
          return `${label}: processor time of keeper ${processor.keeper} ms, of its sqld ${processor.ledger} ms; "send again later" ${later} times`;
        }),
      ],
    };
  } finally {
    for (const loop of Object.values(loops)) loop.close();
    await region?.stop();
    rmSync(dir, { recursive: true, force: true });
  }
}

type Loops = { readonly [Kind in Exclude<Rival, "keeper">]: ReturnType<typeof openLoop> };

async function race(region: BenchRegion, loops: Loops, parts: readonly Sighting[][], label: string) {
  const job = await region.startJob(label);
  const seconds: Seconds = { keeper: 0, "same tables": 0, "bare table": 0 };
  const processor = { keeper: 0, ledger: 0 };
  let later = 0;
  const partsPerTurn = Math.ceil(parts.length / TURNS);
  for (let turn = 0; turn < TURNS; turn += 1) {
    const from = turn * partsPerTurn;
    const own = parts.slice(from, from + partsPerTurn);
    // Each rival begins as often as the others, or nearly so.
    for (let place = 0; place < RIVALS.length; place += 1) {
      const rival = RIVALS[(turn + place) % RIVALS.length] ?? "keeper";
      if (rival !== "keeper") {
        seconds[rival] += loops[rival].write(own);
        continue;
      }
      const messages = region.messages(job, own, from);
      const before = region.processorMs();
      const sent = await region.send(messages);
      const after = region.processorMs();
      seconds.keeper += sent.seconds;
      later += sent.later;
      processor.keeper += after.keeper - before.keeper;
      processor.ledger += after.ledger - before.ledger;
    }
  }
  return { label, seconds, processor, later };
}

function ratios(label: string, seconds: Seconds): BenchLine[] {
  return [
    { what: `${label}: keeper ÷ loop, same tables`, value: seconds["same tables"] / seconds.keeper, unit: "×", budget: { atLeast: 0.9 } },
    { what: `${label}: keeper ÷ loop, bare table`, value: seconds["bare table"] / seconds.keeper, unit: "×", budget: { atLeast: 0.4 } },
  ];
}

function rates(label: string, sightings: number, seconds: Seconds): BenchLine[] {
  return RIVALS.map((rival) =>
    plain(`${label}: ${rival === "keeper" ? "keeper" : `loop, ${rival}`}`, sightings / seconds[rival], "rows/s"),
  );
}

function plain(what: string, value: number, unit: BenchLine["unit"]): BenchLine {
  return { what, value, unit, budget: null };
}
