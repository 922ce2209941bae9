import { PortolanError } from "../../core/errors.ts";
import { runCommand } from "./command.ts";
import { buildLayout, linksOf, removeLayout, setOffloads, targetNamespace, type Link } from "./layout.ts";
import { startListeners, type ListenerProcess } from "./listener-process.ts";
import type { Playground } from "./playground.ts";
import { elementRules, lossRules, targetRules, truthSetOf, type TruthSet } from "./rules.ts";
import { readSeen, startSeen } from "./seen.ts";
import { drawPairs, pairKey, xorshift32, type LabPair, type PairSpace, type PairState, type Truth } from "./truth.ts";

/** The ports that labs use unless told otherwise. */
export const LAB_PORTS: readonly number[] = [
  21, 22, 23, 25, 53, 80, 110, 111, 135, 139, 143, 443, 445, 993, 995, 1723, 3306, 3389, 5900, 8080,
];

/** What a lab looks like. The same seed and sizes always give the same truth. */
export type LabSpec = {
  /** Unique among the labs of this machine: 1 to 11 of a-z and 0-9. */
  readonly name: string;
  readonly seed: number;
  readonly scanners: number;
  /** Listed IPv4 pairs lie in 198.18.0.0/`prefix4` (16 … 28). */
  readonly prefix4: number;
  /** Listed IPv6 pairs lie in 2001:db8:18::/`prefix6` (112 … 128). */
  readonly prefix6: number;
  readonly open4: number;
  readonly filtered4: number;
  readonly open6: number;
  readonly ports?: readonly number[];
  /** Traffic towards the scanners, which lets masscan notice its end (default on). */
  readonly noise?: boolean;
};

/** A lab of network namespaces: one target, several scanners, one truth. */
export type Lab = Playground & {
  readonly name: string;
  readonly links: readonly Link[];
  readonly filter: (pairs: readonly LabPair[]) => Promise<void>;
  /** Drops this share of the probes at random, in 0 … 100 percent; 0 ends it. */
  readonly loss: (percent: number) => Promise<void>;
  readonly noise: (on: boolean) => Promise<void>;
  /** Offloads of one scanner's interface, counted from 0. */
  readonly offloads: (scanner: number, on: boolean) => Promise<void>;
};

/** The addresses of `198.18.0.0/prefix`, without the silent /24. */
function space4(prefix: number): PairSpace {
  return {
    addresses: 2 ** (32 - prefix),
    addressAt: (index) => `198.18.${index >>> 8}.${index & 255}`,
    isSilent: (index) => index >>> 8 === 200,
  };
}

function space6(prefix: number): PairSpace {
  return {
    addresses: 2 ** (128 - prefix),
    addressAt: (index) => `2001:db8:18::${index === 0 ? "" : index.toString(16)}`,
    isSilent: () => false,
  };
}

function checkPrefixes(spec: LabSpec): void {
  const fits = (prefix: number, least: number, most: number): boolean => Number.isInteger(prefix) && prefix >= least && prefix <= most;
  if (!fits(spec.prefix4, 16, 28)) throw new PortolanError("invalid", `prefix4 ${spec.prefix4}: use 16 to 28`);
  if (!fits(spec.prefix6, 112, 128)) throw new PortolanError("invalid", `prefix6 ${spec.prefix6}: use 112 to 128`);
}

function generateTruth(spec: LabSpec, ports: readonly number[]): Truth {
  const truth: Truth = new Map();
  const next = xorshift32(spec.seed);
  const list = (space: PairSpace, count: number, state: PairState): void => {
    for (const pair of drawPairs(space, { ports, count, taken: truth, next })) truth.set(pairKey(pair), state);
  };
  list(space4(spec.prefix4), spec.open4, "open");
  list(space4(spec.prefix4), spec.filtered4, "filtered");
  list(space6(spec.prefix6), spec.open6, "open");
  return truth;
}

/** Changes the rules and the truth of these pairs in one nft transaction; null stands for closed. */
async function changePairs(target: readonly string[], truth: Truth, pairs: readonly LabPair[], state: PairState | null): Promise<void> {
  const removed = new Map<TruthSet, LabPair[]>();
  const added = new Map<TruthSet, LabPair[]>();
  const enter = (sets: Map<TruthSet, LabPair[]>, set: TruthSet, pair: LabPair): unknown => sets.set(set, [...(sets.get(set) ?? []), pair]);
  for (const pair of pairs) {
    const before = truth.get(pairKey(pair)) ?? null;
    if (before === state) continue;
    if (before !== null) enter(removed, truthSetOf(pair, before), pair);
    if (state !== null) enter(added, truthSetOf(pair, state), pair);
  }
  const text = [...removed].map(([set, some]) => elementRules("delete", set, some)).join("");
  await runCommand([...target, "nft", "-f", "-"], text + [...added].map(([set, some]) => elementRules("add", set, some)).join(""));
  for (const pair of pairs) {
    if (state === null) truth.delete(pairKey(pair));
    else truth.set(pairKey(pair), state);
  }
}

function controls(spec: LabSpec, links: readonly Link[], truth: Truth, listeners: ListenerProcess): Lab {
  const target = ["ip", "netns", "exec", targetNamespace(spec.name)];
  const linkAt = (index: number): Link => {
    const link = links[index];
    if (link === undefined) throw new PortolanError("invalid", `scanner ${index}: this lab has ${links.length}, counted from 0`);
    return link;
  };
  return {
    kind: "namespaces",
    name: spec.name,
    truth,
    links,
    ports: spec.ports ?? LAB_PORTS,
    ranges: [`198.18.0.0/${spec.prefix4}`, ...(spec.open6 > 0 ? [`2001:db8:18::/${spec.prefix6}`] : [])],
    scanners: links.map((link) => ({
      // masscan's receive ring holds about 1,300 packets: on a busy machine, one that waits its turn for 100 ms loses answers.
      launcher: ["nice", "-n", "-15", "ip", "netns", "exec", link.namespace],
      adapter: {
        interface: link.scannerInterface,
        ipv4: link.scannerIpv4,
        ipv6: link.scannerIpv6,
        routerMac: link.targetMac.replaceAll(":", "-"),
      },
    })),
    startSeen: () => startSeen(target),
    readSeen: () => readSeen(target),
    close: (pairs) => changePairs(target, truth, pairs, null),
    open: (pairs) => changePairs(target, truth, pairs, "open"),
    filter: (pairs) => changePairs(target, truth, pairs, "filtered"),
    loss: async (percent) => void (await runCommand([...target, "nft", "-f", "-"], lossRules(Math.round(percent * 10)))),
    noise: async (on) => void (await listeners.ask(`noise ${on ? "on" : "off"}`)),
    offloads: (scanner, on) => setOffloads(linkAt(scanner), on),
    destroy: async () => {
      await listeners.stop();
      await removeLayout(spec.name, links);
    },
  };
}

/**
 * Builds a lab and returns when it answers; left-overs of the same name are removed first. Needs root (see `labProblem`).
 * Nothing remains when it throws: `invalid` for a spec that does not fit, `unavailable` when a tool fails.
 */
export async function createLab(spec: LabSpec): Promise<Lab> {
  checkPrefixes(spec);
  const links = linksOf(spec.name, spec.scanners);
  const ports = spec.ports ?? LAB_PORTS;
  const truth = generateTruth(spec, ports);
  const target = ["ip", "netns", "exec", targetNamespace(spec.name)];
  await removeLayout(spec.name, links);
  try {
    await buildLayout(spec.name, links);
    for (const link of links) await setOffloads(link, false);
    await runCommand([...target, "nft", "-f", "-"], targetRules(truth));
    const listeners = await startListeners(target, {
      sockets: ports.map((port) => ({ address: "::", port })),
      noiseTo: links.map((link) => link.scannerIpv4),
      noise: spec.noise ?? true,
    });
    return controls(spec, links, truth, listeners);
  } catch (error) {
    await removeLayout(spec.name, links);
    throw error;
  }
}
