import { PortolanError } from "./errors.ts";

/** A member of a scanner group with the place pinned for it, if any. */
export type PlacedMember = { readonly name: string; readonly pinned: number | null };

/**
 * Places 1 … n of a group's members, in the order of the places: by name (code units), or as pinned for all of them.
 * Throws `invalid` for no members, a name twice, some pinned and some not, or pins that are not exactly 1 … n.
 */
export function shardPlaces(members: readonly PlacedMember[]): { name: string; place: number }[] {
  if (members.length === 0) throw new PortolanError("invalid", "the scanner group has no members; add at least one scanner to it");
  const sorted = members.toSorted((a, b) => (a.name < b.name ? -1 : a.name > b.name ? 1 : 0));
  for (const [index, { name }] of sorted.entries()) {
    if (sorted[index + 1]?.name === name) throw new PortolanError("invalid", `scanner "${name}" is in the group twice; remove one entry`);
  }
  const unpinned = sorted.filter(({ pinned }) => pinned === null);
  if (unpinned.length === sorted.length) return sorted.map(({ name }, index) => ({ name, place: index + 1 }));
  const [first] = unpinned;
  if (first !== undefined) {
    throw new PortolanError("invalid", `scanner "${first.name}" has no pinned place but others of its group have; pin all members or none`);
  }
  return pinnedPlaces(sorted);
}

function pinnedPlaces(members: readonly PlacedMember[]): { name: string; place: number }[] {
  const holders = new Map<number, string>();
  for (const { name, pinned } of members) {
    const place = pinned ?? 0;
    if (!Number.isInteger(place) || place < 1 || place > members.length) {
      throw new PortolanError(
        "invalid",
        `scanner "${name}" is pinned to place ${place}; the group has ${members.length} members, so pin 1 to ${members.length}`,
      );
    }
    const holder = holders.get(place);
    if (holder !== undefined)
      throw new PortolanError("invalid", `scanners "${holder}" and "${name}" are both pinned to place ${place}; pin each to its own`);
    holders.set(place, name);
  }
  return [...holders].map(([place, name]) => ({ name, place })).sort((a, b) => a.place - b.place);
}
