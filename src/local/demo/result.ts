/** What the demo prints with `--json`. Later phases add keys; none changes its meaning. */
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
  readonly seconds: number;
};

/** What of a result does not hold, in words; empty when everything does. */
export function failures({ scan, partial, close, reopen }: DemoResult): string[] {
  const checks: readonly (readonly [holds: boolean, otherwise: string])[] = [
    [scan.expected > 0 && scan.found === scan.expected, `the scan found ${scan.found} of ${scan.expected} open pairs`],
    [scan.missed === 0, `the scan missed ${scan.missed} open pairs`],
    [scan.unexpected === 0, `the scan found ${scan.unexpected} pairs that are not open`],
    [scan.probedTwice === 0, `${scan.probedTwice} pairs were probed more than once`],
    [scan.tiles >= 8, `the job had ${scan.tiles} tiles; at least 8 were planned`],
    [Object.keys(scan.shardsByScanner).length >= 2, "fewer than two scanners shared the job"],
    [
      partial.killedAtPercent >= 20 && partial.killedAtPercent <= 80,
      `the scanner was killed at ${partial.killedAtPercent} %, not in the middle`,
    ],
    [partial.reportOutcome === "partial", `the killed scanner's report was "${partial.reportOutcome}"`],
    [partial.closedWrongly === 0, `the partial job closed ${partial.closedWrongly} services wrongly`],
    [close.closed === close.expected, `${close.closed} of ${close.expected} closed ports are shown closed`],
    [close.closedWrongly === 0, `${close.closedWrongly} open services are shown closed`],
    [reopen.reopened === reopen.expected, `${reopen.reopened} of ${reopen.expected} opened ports came back as reopened`],
  ];
  return checks.filter(([holds]) => !holds).map(([, otherwise]) => otherwise);
}
