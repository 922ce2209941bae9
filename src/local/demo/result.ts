/**
 * What the demo prints with `--json`. Later phases add keys; none changes its meaning. What has to be right counts when it is right in
 * every region, what must not be when it is so in any.
 */
export type DemoResult = {
  readonly scan: {
    /** Pairs that the lab really has open. */
    readonly expected: number;
    readonly found: number;
    readonly missed: number;
    readonly unexpected: number;
    /** Pairs that the lab saw probed more than once within the job. */
    readonly probedTwice: number;
    readonly tiles: number;
    readonly shardsByScanner: Readonly<Record<string, number>>;
  };
  readonly partial: {
    /** How far the killed shard was. */
    readonly killedAtPercent: number;
    /** Sightings in its partial report. */
    readonly sightings: number;
    readonly reportOutcome: string;
    /** Services shown closed that are open, or that lie in a tile without coverage. */
    readonly closedWrongly: number;
  };
  readonly close: { readonly expected: number; readonly closed: number; readonly closedWrongly: number };
  readonly reopen: { readonly expected: number; readonly reopened: number };
  readonly regions: {
    readonly count: number;
    /** Whether all regions' state hashes are the same at the end, over the same records. */
    readonly equal: boolean;
    /** From the acceptance of a sighting in one region until another one's API showed it, while the scan was running. */
    readonly lagMs: { readonly p50: number; readonly p99: number };
    /** What serves the API, region by region. */
    readonly runtimes: readonly string[];
  };
  readonly seconds: number;
};

const REGIONS_MIN = 3;
/** Far beyond what a machine of this decade needs: then news is stuck somewhere. */
const LAG_MS_MAX = 60_000;

/** What of a result does not hold, in words; empty when everything does. */
export function failures({ scan, partial, close, reopen, regions }: DemoResult): string[] {
  const checks: readonly (readonly [holds: boolean, otherwise: string])[] = [
    [scan.expected > 0 && scan.found === scan.expected, `the scan found ${scan.found} of ${scan.expected} open pairs`],
    [scan.missed === 0, `the scan missed ${scan.missed} open pairs`],
    [scan.unexpected === 0, `the scan found ${scan.unexpected} pairs that are not open`],
    [scan.probedTwice === 0, `${scan.probedTwice} pairs were probed more than once`],
    [scan.tiles >= 8, `the job had ${scan.tiles} tiles; at least 8 were planned`],
    [Object.keys(scan.shardsByScanner).length >= 2 * REGIONS_MIN, "not all scanners shared the job"],
    [
      partial.killedAtPercent >= 20 && partial.killedAtPercent <= 80,
      `the scanner was killed at ${partial.killedAtPercent} %, not in the middle`,
    ],
    [partial.reportOutcome === "partial", `the killed scanner's report was "${partial.reportOutcome}"`],
    [partial.closedWrongly === 0, `the partial job closed ${partial.closedWrongly} services wrongly`],
    [close.closed === close.expected, `${close.closed} of ${close.expected} closed ports are shown closed`],
    [close.closedWrongly === 0, `${close.closedWrongly} open services are shown closed`],
    [reopen.reopened === reopen.expected, `${reopen.reopened} of ${reopen.expected} opened ports came back as reopened`],
    [
      regions.count >= REGIONS_MIN && new Set(regions.runtimes).size >= REGIONS_MIN,
      `there were ${regions.count} regions on ${regions.runtimes.join(", ")}`,
    ],
    [regions.equal, "the regions' registers differ"],
    [regions.lagMs.p99 > 0 && regions.lagMs.p99 < LAG_MS_MAX, `news took ${regions.lagMs.p99} ms (p99) to the other regions`],
  ];
  return checks.filter(([holds]) => !holds).map(([, otherwise]) => otherwise);
}
