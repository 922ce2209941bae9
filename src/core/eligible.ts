import { PortolanError } from "./errors.ts";
import { formatRange, intersectRanges, subtractRanges, type AddressRange } from "./range.ts";

/** What a scanner may probe: `mayProbe` left out means everything, `mayNotProbe` always wins. */
export type ProbeBounds = { readonly mayProbe?: readonly AddressRange[]; readonly mayNotProbe?: readonly AddressRange[] };

/** Addresses with the scanners that may probe them. */
export type EligiblePiece = { readonly ranges: readonly AddressRange[]; readonly members: readonly string[] };

/** A member's bounds, by its name. */
export type BoundMember = ProbeBounds & { readonly name: string };

const PIECES_MAX = 10_000;

/**
 * Cuts addresses so that all of a piece have the same eligible members, which keep their order. Throws `invalid` for addresses that none of
 * them may probe, and `too-large` when the bounds cut them into too many pieces.
 */
export function cutByMembers(
  ranges: readonly AddressRange[],
  members: readonly BoundMember[],
  who: { readonly plan: string; readonly group: string },
): EligiblePiece[] {
  let pieces = [{ ranges, members: [] as string[] }];
  for (const member of members) {
    const { mayProbe, mayNotProbe } = member;
    if (mayProbe === undefined && mayNotProbe === undefined) {
      for (const piece of pieces) piece.members.push(member.name);
      continue;
    }
    pieces = pieces.flatMap((piece) => {
      const reachable = mayProbe === undefined ? piece.ranges : intersectRanges(piece.ranges, mayProbe);
      const inside = mayNotProbe === undefined ? reachable : subtractRanges(reachable, mayNotProbe);
      const outside = subtractRanges(piece.ranges, inside);
      return [
        { ranges: inside, members: [...piece.members, member.name] },
        { ranges: outside, members: [...piece.members] },
      ].filter((part) => part.ranges.length > 0);
    });
    if (pieces.length > PIECES_MAX) {
      throw new PortolanError(
        "too-large",
        `what the scanners of group "${who.group}" may probe cuts plan "${who.plan}" into over ${PIECES_MAX} pieces; use fewer range groups for them`,
      );
    }
  }
  const nobodys = pieces.find((piece) => piece.members.length === 0);
  if (nobodys === undefined) return pieces;
  const [first] = nobodys.ranges;
  const more = nobodys.ranges.length > 1 ? ` and ${nobodys.ranges.length - 1} more ranges` : "";
  throw new PortolanError(
    "invalid",
    `no scanner of group "${who.group}" may probe ${first === undefined ? "" : formatRange(first)}${more} of plan "${who.plan}"; let one probe it ("portolan scanner set"), or exclude it`,
  );
}
