import { writeFile } from "node:fs/promises";
import { PortolanError } from "../../core/errors.ts";

/** One TCP pair of the lab; `address` is canonical text. */
export type LabPair = { readonly address: string; readonly port: number };

/** A listed pair answers (open) or swallows probes (filtered); pairs that are not listed answer RST. */
export type PairState = "open" | "filtered";

/** What the lab really answers, by `pairKey`. Changed only together with the lab itself. */
export type Truth = Map<string, PairState>;

/** The key of a pair in truth files, comparisons and evidence: `address TAB port`. */
export function pairKey(pair: LabPair): string {
  return `${pair.address}\t${pair.port}`;
}

/** The pair behind a key that `pairKey` wrote. */
export function pairOf(key: string): LabPair {
  const [address = "", port = ""] = key.split("\t");
  return { address, port: Number(port) };
}

/** Whether a canonical address text is an IPv6 address. */
export function isV6(address: string): boolean {
  return address.includes(":");
}

/** 32-bit xorshift; the same seed always gives the same numbers, each in 0 … 2³²−1. */
export function xorshift32(seed: number): () => number {
  // Zero is the one state that xorshift never leaves.
  let state = seed >>> 0 === 0 ? 0x9e3779b9 : seed >>> 0;
  return () => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    state >>>= 0;
    return state;
  };
}

/** The pairs of one address family: `addressAt(0 … addresses − 1)` × ports, without the silent addresses. */
export type PairSpace = {
  readonly addresses: number;
  readonly addressAt: (index: number) => string;
  readonly isSilent: (index: number) => boolean;
};

/** `count` distinct pairs of a space that the truth does not list yet, in generated order. */
export function drawPairs(
  space: PairSpace,
  options: {
    readonly ports: readonly number[];
    readonly count: number;
    readonly taken: ReadonlyMap<string, unknown>;
    readonly next: () => number;
  },
): LabPair[] {
  const drawn = new Map<string, LabPair>();
  // Twenty tries per pair is far beyond what a space with free room needs, and ends a spec that does not fit.
  let triesLeft = options.count * 20 + 1_000;
  while (drawn.size < options.count) {
    if (triesLeft === 0)
      throw new PortolanError("invalid", `the lab's area is too small for ${options.count} more pairs; choose a larger one`);
    triesLeft -= 1;
    const index = options.next() % space.addresses;
    const port = options.ports[options.next() % options.ports.length];
    if (port === undefined || space.isSilent(index)) continue;
    const pair = { address: space.addressAt(index), port };
    const key = pairKey(pair);
    if (!options.taken.has(key)) drawn.set(key, pair);
  }
  return [...drawn.values()];
}

/** Chooses `count` of `items` without order or repetition, by the generator alone. Throws when there are fewer. */
export function choose<Item>(items: readonly Item[], count: number, next: () => number): Item[] {
  if (items.length < count) throw new PortolanError("invalid", `${count} of only ${items.length} things were asked for`);
  const pool = [...items];
  const chosen: Item[] = [];
  for (let i = 0; i < count; i += 1) chosen.push(...pool.splice(next() % pool.length, 1));
  return chosen;
}

/** The open pairs of a truth, as keys. */
export function openKeys(truth: Truth): Set<string> {
  return new Set([...truth].filter(([, state]) => state === "open").map(([key]) => key));
}

/** Writes `address TAB port TAB open|filtered`, one line per listed pair, sorted. */
export async function writeTruthFile(path: string, truth: Truth): Promise<void> {
  const lines = [...truth].map(([key, state]) => `${key}\t${state}\n`).toSorted();
  await writeFile(path, lines.join(""));
}

/** Differences of two sets of keys: `missed` = truth − found, `extra` = found − truth. */
export function compareKeys(
  truth: ReadonlySet<string>,
  found: ReadonlySet<string>,
): { readonly missed: string[]; readonly extra: string[] } {
  return { missed: [...truth].filter((key) => !found.has(key)), extra: [...found].filter((key) => !truth.has(key)) };
}
