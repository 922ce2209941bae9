import { readFileSync } from "node:fs";
import { z } from "zod";
import { startRegion } from "../../src/local/region.ts";
import { type BenchScanner, playScanner } from "./bench-scanner.ts";

/** A region with real stores, server, keeper and API, and a registered scanner that the bench itself plays. */
export type BenchRegion = Omit<BenchScanner, "close"> & {
  keeperMemory(): { residentMb: number; peakMb: number };
  /** Milliseconds of processor time of keeper and ledger so far. */
  processorMs(): { keeper: number; ledger: number };
  longestCommitMs(): Promise<number | null>;
  stop(): Promise<void>;
};

/** Starts everything below `dir`. */
export async function startBenchRegion(dir: string): Promise<BenchRegion> {
  const region = await startRegion({ dir, region: "bench", scanners: [] });
  try {
    const scanner = await playScanner(region);
    const pidOf = (child: string): number => region.child(child).pid ?? -1;
    return {
      ...scanner,
      keeperMemory: () => memoryOf(pidOf("keeper")),
      processorMs: () => ({ keeper: processorMsOf(pidOf("keeper")), ledger: processorMsOf(pidOf("ledger")) }),
      longestCommitMs: () => longestCommitMs(region.layout.daemonConfig("keeper")),
      stop: async () => {
        await scanner.close();
        await region.stop();
      },
    };
  } catch (error) {
    await region.stop();
    throw error;
  }
}

function memoryOf(pid: number): { residentMb: number; peakMb: number } {
  const status = readFileSync(`/proc/${pid}/status`, "utf8");
  const megabytes = (field: string): number => Number(new RegExp(`^${field}:\\s+(\\d+) kB$`, "m").exec(status)?.[1]) / 1_024;
  return { residentMb: megabytes("VmRSS"), peakMb: megabytes("VmHWM") };
}

/** Linux counts in hundredths of a second. */
function processorMsOf(pid: number): number {
  const stat = readFileSync(`/proc/${pid}/stat`, "utf8");
  const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
  return (Number(fields[11]) + Number(fields[12])) * 10;
}

const configSchema = z.object({ healthPort: z.number() });
const healthSchema = z.object({ keeper: z.object({ longestCommitMs: z.number() }) });

/** What the keeper itself says on its health port. */
async function longestCommitMs(configFile: string): Promise<number | null> {
  const { healthPort } = configSchema.parse(JSON.parse(readFileSync(configFile, "utf8")));
  const response = await fetch(`http://127.0.0.1:${healthPort}/readyz`, { signal: AbortSignal.timeout(5_000) });
  const health = healthSchema.safeParse(await response.json());
  return health.success ? health.data.keeper.longestCommitMs : null;
}
