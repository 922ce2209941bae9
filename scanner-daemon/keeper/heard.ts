import { ACCEPT_ITEMS_MAX, type AcceptItem } from "../../src/ledger/types.ts";
import type { KeeperDeps } from "./deps.ts";
import type { Live } from "./live.ts";
import type { Snapshots } from "./snapshot.ts";
import type { Writer } from "./writer.ts";

type Services = { readonly live: Live; readonly snapshots: Snapshots; readonly writer: Writer };

/**
 * Tells other regions what this region's scanners can run, and that a lost one is back: heartbeats do not leave a region. One record for
 * each change, none while there is no other region. Repeatable.
 */
export async function tellHeard(deps: KeeperDeps, { live, snapshots, writer }: Services): Promise<void> {
  const snapshot = snapshots.current();
  if (snapshot === null || !snapshot.regions.some(({ name, state }) => name !== deps.region && state === "active")) return;
  const beats = [...live.heartbeats().values()].filter(({ scanner }) => live.isLive(scanner));
  if (beats.length === 0) return;
  const said = new Map((await deps.ledger.scannerAbilities()).map((one) => [one.scanner, one]));
  const items: AcceptItem[] = [];
  for (const { scanner, engines, masscanVersion, receivedAtMs } of beats) {
    const before = said.get(scanner);
    const isSame =
      before?.engines.join() === engines.toSorted().join() && before.masscanVersion === masscanVersion && before.region === deps.region;
    // Here a heartbeat alone takes it off the list of the lost; elsewhere only this record does.
    if (isSame && (before.lostAtMs ?? 0) <= before.saidAtMs) continue;
    items.push(
      writer.own({
        kind: "scanner-heard",
        content: { version: 1, scanner, region: deps.region, engines: [...engines], masscanVersion, atMs: receivedAtMs },
      }),
    );
  }
  for (let at = 0; at < items.length; at += ACCEPT_ITEMS_MAX) await writer.write(items.slice(at, at + ACCEPT_ITEMS_MAX));
}
