import { publicKeyOf } from "../src/bus/keys.node.ts";
import { connectNats } from "../src/bus/nats.ts";
import { PortolanError } from "../src/core/errors.ts";
import { readKeySeed, type DaemonConfig } from "./config.ts";
import { logFor } from "./log.ts";
import { createScanner, type Scanner } from "./scanner/scanner.ts";

/** How a run ends, as the command line's exit codes say it. */
export const ONCE_EXIT = { ok: 0, unavailable: 5, partial: 6, interrupted: 130 } as const;

/** Work that was found: how its shards ended. */
export type OnceResult = {
  readonly exitCode: number;
  readonly complete: number;
  readonly partial: number;
  readonly problem: string | null;
};

const LOOK_EVERY_MS = 100;
/** A keeper that is away is waited for so long; what it did not take is sent by the next run. */
const SEND_WITHIN_MS = 60_000;

/**
 * For scanners that cron starts: claims what waits, scans, reports, and ends when nothing has waited for `idleMs`. A shard that was partial is
 * run again when the keeper gives it out again in time. Throws `unavailable` when NATS cannot be reached.
 */
export async function runOnce(config: DaemonConfig, idleMs: number, stop: AbortSignal): Promise<OnceResult> {
  const { scanner: settings, region, dataDir, keeperPublicKeys } = config;
  if (settings === undefined) throw new PortolanError("invalid", 'the configuration has no section "scanner"; --once is for scanners');
  const log = logFor("scanner");
  const seed = readKeySeed(config);
  const { url, caFile } = config.nats;
  log.info("the scanner runs once", { region, scanner: settings.name, publicKey: publicKeyOf(seed), idleMs });
  const onStatus = (text: string): void => log.warning(text);
  const bus = await connectNats({ url, client: settings.name, seed, onStatus, ...(caFile === undefined ? {} : { caFile }) });
  const scanner = createScanner({
    config: { ...settings, region, dataDir, keeperPublicKeys },
    bus,
    keys: { seed },
    clock: { nowMs: () => Date.now() },
    log,
  });
  try {
    await scanner.start();
    await untilIdle(scanner, idleMs, stop);
    const sent = stop.aborted || (await scanner.drained(SEND_WITHIN_MS));
    const result = resultOf(scanner, { sent, interrupted: stop.aborted });
    log.info("the scanner has run once", result);
    return result;
  } finally {
    await scanner.stop();
    await bus.close();
  }
}

async function untilIdle(scanner: Scanner, idleMs: number, stop: AbortSignal): Promise<void> {
  for (;;) {
    const { isBusy, lastWorkAtMs } = scanner.standing();
    if (stop.aborted || (!isBusy && performance.now() - lastWorkAtMs >= idleMs)) return;
    await new Promise((resolve) => setTimeout(resolve, LOOK_EVERY_MS));
  }
}

function resultOf(scanner: Scanner, { sent, interrupted }: { sent: boolean; interrupted: boolean }): OnceResult {
  const { complete, partial, engines } = scanner.standing();
  const tally = { complete, partial };
  if (interrupted) return { ...tally, exitCode: ONCE_EXIT.interrupted, problem: "interrupted" };
  if (!sent)
    return { ...tally, exitCode: ONCE_EXIT.unavailable, problem: "the keeper has not taken all of it; the next run sends the rest" };
  if (engines.length === 0)
    return { ...tally, exitCode: ONCE_EXIT.unavailable, problem: 'the scanner is not ready for any engine; see "portolan doctor"' };
  if (partial > 0) return { ...tally, exitCode: ONCE_EXIT.partial, problem: "some shards were only partly scanned" };
  return { ...tally, exitCode: ONCE_EXIT.ok, problem: null };
}
