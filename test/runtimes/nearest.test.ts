import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { byNearness, distanceKm, readPoint, readPointHeader } from "../../workers/nearest.ts";

const point = fc.record({
  latitude: fc.double({ min: -90, max: 90, noNaN: true }),
  longitude: fc.double({ min: -180, max: 180, noNaN: true }),
});
const HALF_ROUND_KM = Math.PI * 6_371;

describe("distance", () => {
  test("of known places is what an atlas says", () => {
    const berlin = { latitude: 52.52, longitude: 13.405 };
    expect(distanceKm(berlin, { latitude: 40.7128, longitude: -74.006 })).toBeCloseTo(6_385, -1);
    expect(distanceKm({ latitude: 0, longitude: 179.5 }, { latitude: 0, longitude: -179.5 })).toBeCloseTo(111.2, 0);
    expect(distanceKm({ latitude: 90, longitude: 0 }, { latitude: -90, longitude: 77 })).toBeCloseTo(HALF_ROUND_KM, 3);
  });

  test("is symmetric, zero to itself, at most half round the earth and never more than by a third place", () => {
    fc.assert(
      fc.property(point, point, point, (a, b, c) => {
        const ab = distanceKm(a, b);
        expect(distanceKm(b, a)).toBeCloseTo(ab, 6);
        expect(distanceKm(a, a)).toBe(0);
        expect(ab).toBeLessThanOrEqual(HALF_ROUND_KM + 1e-6);
        expect(ab).toBeLessThanOrEqual(distanceKm(a, c) + distanceKm(c, b) + 1e-3);
      }),
    );
  });
});

describe("the order of regions", () => {
  const region = fc.record({ latitude: fc.option(point), name: fc.string({ minLength: 1 }) }).map(({ latitude: at, name }) => ({
    name,
    latitude: at?.latitude ?? null,
    longitude: at?.longitude ?? null,
  }));

  test("holds each of them once, the nearest first and those without a place last", () => {
    fc.assert(
      fc.property(fc.array(region, { minLength: 1, maxLength: 8 }), point, (regions, caller) => {
        const order = byNearness(regions, caller);
        expect(new Set(order)).toEqual(new Set(regions));
        expect(order).toHaveLength(regions.length);
        const km = order.map(({ latitude, longitude }) =>
          latitude === null || longitude === null ? Number.POSITIVE_INFINITY : distanceKm(caller, { latitude, longitude }),
        );
        expect(km).toEqual(km.toSorted((a, b) => (a === b ? 0 : a - b)));
      }),
    );
  });

  test("begins with the own region when nobody knows where the caller is, and goes on with its neighbours", () => {
    const at = (name: string, latitude: number | null, longitude: number | null) => ({ name, latitude, longitude });
    const names = (order: readonly { name: string }[]): string => order.map(({ name }) => name).join(" ");
    const [eu, us, ap, lost] = [at("eu", 50.1, 8.7), at("us", 39, -77.5), at("ap", 1.35, 103.8), at("lost", null, null)];
    expect(names(byNearness([eu, lost, ap, us], null))).toBe("eu us ap lost");
    expect(names(byNearness([lost, ap, us], null))).toBe("lost ap us");
    expect(names(byNearness([eu, us, ap], { latitude: -33.9, longitude: 151.2 }))).toBe("ap us eu");
    expect(byNearness([], null)).toEqual([]);
  });
});

describe("coordinates", () => {
  test("are read from texts and numbers within the globe, and nothing else is", () => {
    expect(readPoint("52.5", "-13.4")).toEqual({ latitude: 52.5, longitude: -13.4 });
    expect(readPoint(90, -180)).toEqual({ latitude: 90, longitude: -180 });
    for (const wrong of [undefined, null, "", " ", "1e1", "NaN", Number.NaN, "0x10", "91", {}, []])
      expect(readPoint(wrong, "0")).toBeNull();
    expect(readPoint("0", "180.1")).toBeNull();
    expect(readPointHeader(" 52.5 , 13.4 ")).toEqual({ latitude: 52.5, longitude: 13.4 });
    for (const wrong of [null, "", "52.5", "52.5,13.4,1", "a,b"]) expect(readPointHeader(wrong)).toBeNull();
  });
});
