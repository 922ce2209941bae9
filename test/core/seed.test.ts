import fc from "fast-check";
import { expect, test } from "vitest";
import { seedSchema } from "../../src/core/messages/common.ts";
import { tileSeed } from "../../src/core/seed.ts";

const seeds = fc.bigInt({ min: 1n, max: (1n << 64n) - 1n }).map(String);

test("each tile of a job has a seed of its own that masscan takes as it is", () => {
  fc.assert(
    fc.property(seeds, fc.nat({ max: 1_000_000 }), fc.nat({ max: 1_000_000 }), (seed, a, b) => {
      expect(seedSchema.safeParse(tileSeed(seed, a)).success).toBe(true);
      expect(tileSeed(seed, a) === tileSeed(seed, b)).toBe(a === b);
    }),
  );
});

test("the seed of a tile is the same for all its shards and attempts, wherever it is computed", () => {
  expect([0, 1, 2].map((tile) => tileSeed("1", tile))).toEqual(["10451216379200822465", "13757245211066428519", "17911839290282890590"]);
});
