import { setTimeout as delay } from "node:timers/promises";
import { PortolanError } from "../core/errors.ts";
import { openLedger } from "../ledger/ledger.ts";
import type { Ledger } from "../ledger/types.ts";
import type { RegionParts } from "./region-parts.ts";
import { setAside } from "./topology.ts";

/** What a rebuild began: the region's new log, and where the old ledger was put. */
export type Rebuild = { readonly region: string; readonly log: string; readonly setAside: string | null };

const BACK_MS_MAX = 60_000;
const READ_MS_MAX = 5_000;

/**
 * Gives a region an empty ledger with a new log: its keeper then fills it from the peers (`filling` tells how far it is). The old one is
 * set aside, never deleted at once. Throws `unavailable` when ledger or keeper do not come back.
 */
export async function rebuildLedger(part: RegionParts): Promise<Rebuild> {
  const { layout, ledgerUrl, region } = part.places;
  // The keeper first: it must not meet an empty ledger with what it remembers of the old one.
  await part.child("keeper").stop();
  await part.child("ledger").stop();
  const aside = setAside(layout.ledger, Date.now());
  await part.child("ledger").start();
  await part.child("keeper").start();
  await part.child("keeper").ready(BACK_MS_MAX);
  const ledger = openLedger({ url: ledgerUrl, region, timeoutMs: READ_MS_MAX });
  try {
    return { region, log: await ownLog(ledger, region), setAside: aside };
  } finally {
    ledger.close();
  }
}

/** The keeper makes the log when it has taken the lease. */
async function ownLog(ledger: Pick<Ledger, "logStands">, region: string): Promise<string> {
  const deadline = performance.now() + BACK_MS_MAX;
  for (;;) {
    const own = (await ledger.logStands()).find((stand) => stand.own);
    if (own !== undefined) return own.log;
    if (performance.now() > deadline) {
      throw new PortolanError(
        "unavailable",
        `the keeper of region "${region}" did not begin a log within ${BACK_MS_MAX} ms; see its log file`,
      );
    }
    await delay(50);
  }
}

/** How many records a region's peers hold and it does not, as they last said; null while one of them has not said anything. */
export async function filling(part: RegionParts): Promise<number | null> {
  const { ledgerUrl, region } = part.places;
  const ledger = openLedger({ url: ledgerUrl, region, timeoutMs: READ_MS_MAX });
  try {
    const [peers, { regions }] = await Promise.all([ledger.peers(), part.registry.state()]);
    const others = regions.filter((one) => one.state === "active" && one.natsUrl !== null && one.name !== region);
    const heard = others.map(({ name }) => peers.find((peer) => peer.region === name && peer.contactMs > 0));
    return heard.reduce<number | null>((sum, peer) => (sum === null || peer === undefined ? null : sum + peer.behind), 0);
  } finally {
    ledger.close();
  }
}
