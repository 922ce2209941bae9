/**
 * masscan's seed for one tile of a job: decimal, 1 to 2^64-1, a pure function of the job's seed and the tile.
 * masscan makes the cookie of a probe from its seed, both addresses and both ports, and takes every answer with a fitting cookie for one to its own
 * probe. Its source port is drawn from the second in which it starts: when a run is killed and another of the same scanner starts in that second, the
 * answers to the first one fit the second one too. With a seed for each tile, whatever fits lies in the tile.
 */
export function tileSeed(seed: string, tile: number): string {
  // The finaliser of SplitMix64 over seed and tile: a bijection of the seed, so two jobs that differ still differ in each tile.
  let z = BigInt.asUintN(64, BigInt(seed) + 0x9e3779b97f4a7c15n * (BigInt(tile) + 1n));
  z = BigInt.asUintN(64, (z ^ (z >> 30n)) * 0xbf58476d1ce4e5b9n);
  z = BigInt.asUintN(64, (z ^ (z >> 27n)) * 0x94d049bb133111ebn);
  z ^= z >> 31n;
  return String(z === 0n ? 1n : z);
}
