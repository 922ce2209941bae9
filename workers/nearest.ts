/** A place on earth, in degrees. */
export type Point = { readonly latitude: number; readonly longitude: number };

type Placed = { readonly name: string; readonly latitude: number | null; readonly longitude: number | null };

const EARTH_RADIUS_KM = 6_371;

/** Great-circle distance in kilometres. */
export function distanceKm(a: Point, b: Point): number {
  const [phiA, phiB] = [radians(a.latitude), radians(b.latitude)];
  const halfPhi = Math.sin((phiB - phiA) / 2);
  const halfLambda = Math.sin(radians(b.longitude - a.longitude) / 2);
  const chord = halfPhi * halfPhi + Math.cos(phiA) * Math.cos(phiB) * halfLambda * halfLambda;
  // Rounding may lift antipodes a hair above 1.
  return 2 * EARTH_RADIUS_KM * Math.asin(Math.sqrt(Math.min(1, chord)));
}

/**
 * The regions in the order in which they are asked, nearest first. Without coordinates of the caller the first of the list (the own
 * region) leads and the others follow by their distance from it. Those that have no coordinates come last; equals keep their order.
 */
export function byNearness<T extends Placed>(regions: readonly T[], caller: Point | null): T[] {
  const [own, ...others] = regions;
  if (own === undefined) return [];
  if (caller === null) {
    const from = pointOf(own);
    return [own, ...(from === null ? others : sorted(others, from))];
  }
  return sorted(regions, caller);
}

/** The point that these numbers or texts give; null when they are none. */
export function readPoint(latitude: unknown, longitude: unknown): Point | null {
  const [lat, lon] = [degrees(latitude), degrees(longitude)];
  if (lat === null || lon === null || Math.abs(lat) > 90 || Math.abs(lon) > 180) return null;
  return { latitude: lat, longitude: lon };
}

/** The point of a header like `52.52,13.4`; null for anything else. */
export function readPointHeader(value: string | null): Point | null {
  const parts = value?.split(",") ?? [];
  return parts.length === 2 ? readPoint(parts[0], parts[1]) : null;
}

function degrees(value: unknown): number | null {
  if (typeof value === "number") return Number.isFinite(value) ? value : null;
  return typeof value === "string" && /^\s*[-+]?\d{1,3}(\.\d{1,12})?\s*$/.test(value) ? Number(value) : null;
}

function sorted<T extends Placed>(regions: readonly T[], from: Point): T[] {
  const distance = (region: T): number => {
    const point = pointOf(region);
    return point === null ? Number.POSITIVE_INFINITY : distanceKm(from, point);
  };
  return regions
    .map((region) => ({ region, km: distance(region) }))
    .toSorted((a, b) => (a.km === b.km ? 0 : a.km - b.km))
    .map(({ region }) => region);
}

function pointOf({ latitude, longitude }: Placed): Point | null {
  return latitude === null || longitude === null ? null : { latitude, longitude };
}

function radians(value: number): number {
  return (value * Math.PI) / 180;
}
