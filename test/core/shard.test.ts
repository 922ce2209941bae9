import * as fc from "fast-check";
import { expect, test } from "vitest";
import { shardPlaces } from "../../src/core/shard.ts";

const names = fc.uniqueArray(fc.stringMatching(/^[a-z][a-z0-9-]{0,8}$/), { minLength: 1, maxLength: 12 });

test("members without pins stand in the order of their names, whatever order they come in", () => {
  fc.assert(
    fc.property(names, (list) => {
      const expected = list.toSorted().map((name, index) => ({ name, place: index + 1 }));
      expect(shardPlaces(list.map((name) => ({ name, pinned: null })))).toEqual(expected);
      expect(shardPlaces(list.toReversed().map((name) => ({ name, pinned: null })))).toEqual(expected);
    }),
  );
});

test("pinned members keep their places", () => {
  fc.assert(
    fc.property(names, (list) => {
      const members = list.map((name, index) => ({ name, pinned: index + 1 }));
      expect(shardPlaces(members.toReversed())).toEqual(list.map((name, index) => ({ name, place: index + 1 })));
    }),
  );
});

test("groups without one clear place for each member are refused", () => {
  expect(() => shardPlaces([])).toThrow(/has no members; add/);
  expect(() =>
    shardPlaces([
      { name: "a", pinned: null },
      { name: "a", pinned: null },
    ]),
  ).toThrow(/"a" is in the group twice/);
  expect(() =>
    shardPlaces([
      { name: "a", pinned: 1 },
      { name: "b", pinned: null },
    ]),
  ).toThrow(/"b" has no pinned place.*pin all members or none/);
  expect(() =>
    shardPlaces([
      { name: "a", pinned: 1 },
      { name: "b", pinned: 1 },
    ]),
  ).toThrow(/"a" and "b" are both pinned to place 1/);
  for (const pinned of [0, 3, -1, 1.5]) {
    expect(
      () =>
        shardPlaces([
          { name: "a", pinned: 1 },
          { name: "b", pinned },
        ]),
      String(pinned),
    ).toThrow(/"b" is pinned to place .*pin 1 to 2/);
  }
});
