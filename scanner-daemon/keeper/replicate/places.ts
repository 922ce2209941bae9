import type { RegistrySnapshot } from "../../../src/registry/types.ts";

/** A region from which we pull. */
export type PeerPlace = { readonly region: string; readonly url: string };

/** Active regions other than ours that say where their message server is, by name. */
export function peerPlaces(snapshot: RegistrySnapshot | null, own: string): PeerPlace[] {
  const places: PeerPlace[] = [];
  for (const { name, natsUrl, state } of snapshot?.regions ?? []) {
    if (name !== own && state === "active" && natsUrl !== null) places.push({ region: name, url: natsUrl });
  }
  return places.toSorted((a, b) => (a.region < b.region ? -1 : 1));
}

/** Whether any other region is registered: nobody reads what a region alone would publish. */
export function hasPeers(snapshot: RegistrySnapshot | null, own: string): boolean {
  return (snapshot?.regions ?? []).some(({ name, state }) => name !== own && state === "active");
}

/** Keys that may sign logs of a region, those of former keepers and of retired regions included. */
export function keeperKeys(snapshot: RegistrySnapshot | null, region: string): readonly string[] {
  return snapshot?.regions.find(({ name }) => name === region)?.keeperPublicKeys ?? [];
}
