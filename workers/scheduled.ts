import { httpDatabase } from "../src/ledger/database.ts";
import { tidyInbox } from "../src/ledger/inbox.ts";
import { type ApiConfig, placesOf } from "./config.ts";
import type { RegionApp } from "./router.ts";

type Watch = {
  readonly config: ApiConfig;
  /** Writes one line of the log. */
  readonly log: (line: string) => void;
  /** Milliseconds of the Unix epoch. */
  readonly clock: () => number;
};

const TIDY_WITHIN_MS = 5_000;

/**
 * Asks every region whether its stores answer and ends what waits in vain in its inbox: a region whose keeper is away would otherwise stop
 * taking commands once its inbox is full of old ones. One line of the log for each region; never throws. Repeatable at any time.
 */
export async function checkRegions(regions: readonly RegionApp[], { config, log, clock }: Watch): Promise<void> {
  const places = placesOf(config);
  await Promise.all(
    regions.map(async (region) => {
      const place = places.find(({ name }) => name === region.name);
      const ready = await isReady(region);
      const tidied = place === undefined || !ready ? null : await tidy(place, clock());
      const line = { ts: new Date(clock()).toISOString(), level: ready ? "info" : "error", event: "region-check", region: region.name };
      log(JSON.stringify({ ...line, ready, commands_ended: tidied?.ended ?? null, commands_forgotten: tidied?.forgotten ?? null }));
    }),
  );
}

async function isReady(region: RegionApp): Promise<boolean> {
  try {
    const response = await region.fetch(new Request("http://region/readyz"), { point: null });
    await response.arrayBuffer();
    return response.status === 200;
  } catch {
    return false;
  }
}

async function tidy(
  place: { readonly ledgerUrl: string; readonly ledgerToken?: string | undefined },
  nowMs: number,
): Promise<{ ended: number; forgotten: number } | null> {
  const { ledgerUrl: url, ledgerToken } = place;
  const database = httpDatabase({ url, timeoutMs: TIDY_WITHIN_MS, ...(ledgerToken === undefined ? {} : { authToken: ledgerToken }) });
  try {
    return await tidyInbox(database, nowMs);
  } catch {
    // It will be tried again at the next check.
    return null;
  } finally {
    database.close();
  }
}
