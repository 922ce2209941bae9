import { expect } from "vitest";
import { addressToHex } from "../../src/core/address.ts";
import { protocolNumber } from "../../src/core/port.ts";
import { foldVerdicts } from "../../src/core/verdict/fold.ts";
import { type Database, numberOf, textOf } from "../../src/ledger/database.ts";
import { ledgerOn } from "../../src/ledger/ledger.ts";
import type { Ledger, PeerItem } from "../../src/ledger/types.ts";
import { contextAt, sha256 } from "./builders.ts";
import { foldRecordOf, type Random } from "./history.ts";

const STATES = ["open", "missing", "closed"] as const;
export const ORDERS = ["as accepted", "shuffled", "reversed", "log by log"] as const;
export const OWN_LOG = "a".repeat(32);

export type Register = Record<string, string>;

async function projected(database: Database): Promise<Register> {
  const [rows] = await database.batch(
    [{ sql: "select lower(hex(ip)) as ip, port, proto, state from service order by ip, port, proto" }],
    "read",
  );
  return Object.fromEntries(
    (rows ?? []).map((row) => [
      `${textOf(row, "ip")} ${numberOf(row, "proto")}/${numberOf(row, "port")}`,
      STATES[numberOf(row, "state")] ?? "?",
    ]),
  );
}

/** What the rules say about everything delivered so far. */
function folded(delivered: readonly PeerItem[]): Register {
  const verdicts = foldVerdicts(delivered.map(foldRecordOf));
  return Object.fromEntries(
    verdicts.map(({ service, verdict }) => [
      `${addressToHex(service.address)} ${protocolNumber(service.protocol)}/${service.port}`,
      verdict,
    ]),
  );
}

async function drain(ledger: Ledger, epoch: number, window: number): Promise<void> {
  for (let windows = 0; windows < 100_000; windows++) {
    if (!(await ledger.runDeferred({ epoch, sha256, window }))) return;
  }
  throw new Error("deferred work does not end");
}

/** Whether the stored states are the view's, and the tally is what it counts. */
async function audit(database: Database): Promise<void> {
  const [wrong, tally, counted] = await database.batch(
    [
      { sql: "select count(*) as n from verdict v join service s using (ip, port, proto) where v.state <> s.state" },
      { sql: "select port, proto, state, n from tally where n > 0 order by port, proto, state" },
      { sql: "select port, proto, state, count(*) as n from service group by port, proto, state order by port, proto, state" },
    ],
    "read",
  );
  expect(numberOf(wrong?.[0], "n")).toBe(0);
  expect(tally?.map((row) => ({ ...row }))).toEqual(counted?.map((row) => ({ ...row })));
}

export type Seen = { comparisons: number; readonly states: Record<string, number> };

/** Delivers a history in one order; compares at random points and at the end. With `own`, the first log is accepted here, in its order. */
export async function deliver(
  database: Database,
  random: Random,
  groups: readonly PeerItem[][],
  own: readonly PeerItem[] | null,
  seen: Seen,
): Promise<Register> {
  const ledger = ledgerOn(database, "eu");
  const epoch = (await ledger.takeLease({ holder: "k1", nowMs: 0, ttlMs: 1 }))?.epoch ?? -1;
  const delivered = new Map<string, PeerItem>();
  const waiting = [...(own ?? [])];
  if (own !== null) await ledger.ensureLog(() => OWN_LOG);
  const compare = async (): Promise<Register> => {
    await drain(ledger, epoch, 1 + random.below(3));
    const register = await projected(database);
    expect(register).toEqual(folded([...delivered.values()]));
    seen.comparisons++;
    return register;
  };
  const remember = (item: PeerItem): unknown => delivered.set(`${item.acceptance.log}/${item.acceptance.rseq}`, item);
  for (const group of groups) {
    const peers = own === null ? group : group.filter(({ acceptance }) => acceptance.log !== OWN_LOG);
    if (peers.length > 0) await ledger.applyPeers({ items: peers }, contextAt(epoch, 0));
    peers.forEach(remember);
    const mine = waiting.splice(0, own === null ? 0 : random.below(5));
    const receipts = mine.length === 0 ? [] : await ledger.accept(mine, contextAt(epoch, 0));
    expect(receipts.map(({ rseq }) => rseq)).toEqual(mine.map(({ acceptance }) => acceptance.rseq));
    mine.forEach(remember);
    // Windows of passes between the deliveries: sightings come while a tile is half passed.
    for (let windows = random.below(4); windows > 0; windows--) await ledger.runDeferred({ epoch, sha256, window: 1 });
    if (random.chance(0.12)) await compare();
  }
  if (waiting.length > 0) await ledger.accept(waiting, contextAt(epoch, 0));
  waiting.forEach(remember);
  const register = await compare();
  await audit(database);
  for (const state of Object.values(register)) seen.states[state] = (seen.states[state] ?? 0) + 1;
  return register;
}
