import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { PortolanError } from "../../core/errors.ts";
import { makeCleanup } from "./cleanup.ts";
import { playDemo } from "./demo.ts";
import { readOptions } from "./options.ts";
import { failures, type DemoResult } from "./result.ts";
import { makeSay } from "./say.ts";

// `npm run demo`: the main job on real traffic, from a plan to a page.

function summary({ scan, partial, close, reopen, regions, seconds }: DemoResult): string {
  const shards = Object.entries(scan.shardsByScanner).map(([scanner, count]) => `${scanner} ran ${count}`);
  return [
    `scan     ${scan.found} of ${scan.expected} open pairs found, ${scan.unexpected} unexpected, ${scan.probedTwice} probed twice; ${scan.tiles} tiles, ${shards.join(", ")} shards`,
    `partial  scanner killed at ${partial.killedAtPercent} % of a shard: report ${partial.reportOutcome}, ${partial.sightings} sightings, ${partial.closedWrongly} wrongly closed`,
    `close    ${close.closed} of ${close.expected} closed ports shown closed in every region, ${close.closedWrongly} wrongly in any`,
    `reopen   ${reopen.reopened} of ${reopen.expected} shown reopened in every region`,
    `regions  ${regions.count} with their APIs on ${regions.runtimes.join(", ")}: ${regions.equal ? "equal" : "DIFFERENT"} registers; a sighting is shown elsewhere within ${regions.lagMs.p50} ms (half of them), ${regions.lagMs.p99} ms (99 %)`,
    `in ${seconds} s`,
  ].join("\n");
}

function untilInterrupted(): Promise<void> {
  return new Promise((done) => {
    for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) process.once(signal, () => done());
  });
}

async function main(): Promise<number> {
  const options = readOptions(process.argv);
  const say = makeSay(process.stderr, () => performance.now());
  const cleanup = makeCleanup();
  const dir = options.dir === undefined ? await mkdtemp(join(tmpdir(), "portolan-demo-")) : resolve(options.dir);
  let failed = false;
  cleanup.add(async () => {
    if (failed) say.line(`data and logs are kept in ${dir}`);
    else if (options.dir === undefined) await rm(dir, { recursive: true, force: true });
  });
  const interrupted = untilInterrupted();
  let code = 130;
  const play = async (): Promise<void> => {
    const evidence = options.evidence === undefined ? {} : { evidence: resolve(options.evidence) };
    const { result, sites } = await playDemo({ ...options, ...evidence }, { say, dir, cleanup });
    const problems = failures(result);
    code = problems.length === 0 ? 0 : 1;
    console.log(options.json ? JSON.stringify(result) : summary(result));
    for (const problem of problems) say.line(`DOES NOT HOLD: ${problem}`);
    if (!options.once) {
      say.line(
        `It stays up: ${sites.map(({ name, region }) => `${name} ${region.apiUrl}/`).join("  ")} (Ctrl-C ends it and removes the lab)`,
      );
      await interrupted;
    }
  };
  try {
    // An interrupted demo, too, ends what it has started.
    await Promise.race([play(), interrupted]);
    return code;
  } catch (error) {
    failed = true;
    throw error;
  } finally {
    say.line("stopping and removing everything …");
    await cleanup.end();
  }
}

await main().then(
  (code) => process.exit(code),
  (error: unknown) => {
    console.error(error instanceof PortolanError ? `portolan demo: ${error.message}` : error);
    process.exit(1);
  },
);
