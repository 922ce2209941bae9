import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { parseAddress } from "../../src/core/address.ts";
import { type DeniedPairs, firstDenied, isDenied, mergeDenied } from "../../src/core/denied.ts";
import { deniedSchema, type DeniedList } from "../../src/core/messages/bus.ts";
import type { Assignment } from "../../src/core/messages/job.ts";
import type { ConfirmOrder } from "../../src/core/messages/probe.ts";
import { parsePorts } from "../../src/core/port.ts";
import { formatRange, parseRange } from "../../src/core/range.ts";
import { errorText, type Log } from "../log.ts";
import { writeDurably } from "./durable.ts";

/** What the keeper said last about what is denied; it survives a restart. The keeper itself gives out no such work: this is the second lock. */
export type Denials = {
  /** Takes a newer list; tells whether it was one. Throws for a list that cannot be read. */
  take(list: DeniedList): boolean;
  /** Why the assignment must not run, its canaries included; null when it may. */
  ofAssignment(assignment: Assignment): string | null;
  /** The same for a confirm order. */
  ofOrder(order: ConfirmOrder): string | null;
};

const FILE = "denied.json";

/** Reads what the last run of the scanner was told. */
export async function openDenials(directory: string, log: Log): Promise<Denials> {
  const file = join(directory, FILE);
  let statedAtMs = -1;
  let denied: readonly DeniedPairs[] = [];
  const adopt = (list: DeniedList): boolean => {
    if (list.statedAtMs <= statedAtMs) return false;
    denied = mergeDenied(list.denied);
    statedAtMs = list.statedAtMs;
    return true;
  };
  const stored = await readList(file);
  if (stored !== null) adopt(stored);
  let kept = JSON.stringify(stored?.denied ?? []);
  let writing: Promise<void> = Promise.resolve();
  const keep = (list: DeniedList): void => {
    const text = JSON.stringify(list.denied);
    if (text === kept) return;
    kept = text;
    writing = writing
      .then(() => writeDurably(file, JSON.stringify(list)))
      .catch((error: unknown) => log.warning("what is denied could not be written to disk", { problem: errorText(error) }));
  };
  const pairOf = (address: string, port: number, protocol: "tcp" | "udp" | "sctp" = "tcp"): string | null =>
    isDenied(denied, { address: parseAddress(address), protocol, port }) ? `${address} port ${port} is denied` : null;
  const firstOf = (problems: Iterable<string | null>): string | null => [...problems].find((problem) => problem !== null) ?? null;
  return {
    take: (list) => {
      if (!adopt(list)) return false;
      keep(list);
      return true;
    },
    ofAssignment: ({ ranges, ports, canaries }) => {
      if (denied.length === 0) return null;
      const hit = firstDenied(denied, { ranges: ranges.map(parseRange), ports: parsePorts(ports) });
      if (hit !== null) return `${formatRange(hit)} is denied`;
      return firstOf(canaries.map(({ address, port }) => pairOf(address, port)));
    },
    ofOrder: ({ targets, canaries = [] }) =>
      firstOf([
        ...targets.map(({ address, port, protocol }) => pairOf(address, port, protocol)),
        ...canaries.map(({ address, port }) => pairOf(address, port)),
      ]),
  };
}

async function readList(file: string): Promise<DeniedList | null> {
  try {
    return deniedSchema.parse(JSON.parse(await readFile(file, "utf8")));
  } catch {
    return null;
  }
}
