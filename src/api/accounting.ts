import { footprintOf } from "../core/footprint.ts";
import type { JobSpec } from "../core/messages/job.ts";
import type { LedgerReader } from "../ledger/types.ts";

/** What a job sent, and to how many: for abuse limits. */
export type Accounting = {
  readonly job: string;
  /** As far as reports tell, repeats included. */
  readonly probesSent: number;
  /** When each shard runs once. */
  readonly probesPlanned: number;
  readonly hosts: number;
  /** IPv4 /24s and IPv6 /64s. */
  readonly networks: number;
  /** `planned`: the most that one address gets; `sent`: on average. */
  readonly perHost: { readonly planned: number; readonly sent: number };
  /** `planned`: an upper bound. */
  readonly perNetwork: { readonly planned: number; readonly sent: number };
  readonly scanners: readonly {
    readonly scanner: string;
    readonly reports: number;
    readonly complete: number;
    readonly found: number;
    readonly probesSent: number;
    readonly workedMs: number;
    readonly ratePps: number | null;
  }[];
};

/** Packets per second over a time in milliseconds; null when it took none. */
export function ratePps(probes: number, tookMs: number): number | null {
  return tookMs <= 0 ? null : Math.round((probes / tookMs) * 10_000) / 10;
}

/** Null when the ledger has no such job. */
export async function accountingOf(ledger: Pick<LedgerReader, "jobSpec" | "scannerTotals">, job: string): Promise<Accounting | null> {
  const [spec, totals] = await Promise.all([ledger.jobSpec(job), ledger.scannerTotals(job)]);
  return spec === null ? null : sumUp(job, spec, totals);
}

function sumUp(job: string, spec: JobSpec, totals: Awaited<ReturnType<LedgerReader["scannerTotals"]>>): Accounting {
  const { hosts, networks, probes, perHostMax, perNetworkMax } = footprintOf(spec);
  const probesSent = totals.reduce((sum, total) => sum + total.probesSent, 0);
  const [hostCount, networkCount] = [Number(hosts), Number(networks)];
  return {
    job,
    probesSent,
    probesPlanned: Number(probes),
    hosts: hostCount,
    networks: networkCount,
    perHost: { planned: perHostMax, sent: rounded(probesSent / Math.max(1, hostCount)) },
    perNetwork: { planned: Number(perNetworkMax), sent: rounded(probesSent / Math.max(1, networkCount)) },
    scanners: totals.map((total) => ({ ...total, ratePps: ratePps(total.probesSent, total.workedMs) })),
  };
}

function rounded(value: number): number {
  return Math.round(value * 10) / 10;
}
