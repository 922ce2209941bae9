import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import type { Statement } from "../../src/core/messages/record.ts";
import { statementId } from "../../src/core/statement.ts";
import { deniedText } from "../../src/core/denied.ts";
import type { Ledger, PeerItem } from "../../src/ledger/types.ts";
import { sha256 } from "./builders.ts";
import { chained, drain, ledgerWith } from "./delivered.ts";
import { openMemoryDatabase } from "./memory-database.ts";

const NOW_MS = 1_700_000_000_000;
const AUTHOR = { name: "k1", publicKey: `U${"A".repeat(55)}`, signature: "A".repeat(86) };

function itemAt(statement: Statement, log: number, rseq: number): PeerItem {
  const acceptance = {
    log: String(log).repeat(32),
    rseq,
    stampMs: NOW_MS + rseq,
    judged: null,
    chain: "0".repeat(64),
    signature: "A".repeat(86),
  };
  return { statement, id: statementId(statement, sha256), author: AUTHOR, payload: null, acceptance, region: `r${log}` };
}

const denies = fc.uniqueArray(
  fc.record({
    ranges: fc.uniqueArray(fc.constantFrom("192.0.2.0/28", "192.0.2.9", "198.51.100.0/24", "2001:db8::/64"), {
      minLength: 1,
      maxLength: 3,
    }),
    ports: fc.constantFrom(null, "22", "80,443", "U:53"),
    reason: fc.constantFrom("complaint", "fragile"),
    by: fc.constantFrom("ann", "bob"),
    expiresAtMs: fc.constantFrom(null, NOW_MS - 1, NOW_MS + 1),
    atMs: fc.integer({ min: NOW_MS - 1_000, max: NOW_MS }),
  }),
  { minLength: 1, maxLength: 6, selector: (deny) => JSON.stringify(deny) },
);

/** Denies and lifts of some of them (one of them perhaps of nothing), accepted in two logs, some in both. */
const histories = fc
  .tuple(denies, fc.array(fc.nat(6), { maxLength: 4 }), fc.array(fc.nat(3), { minLength: 12, maxLength: 12 }))
  .map(([contents, lifts, where]) => {
    const said: Statement[] = contents.map((content) => ({ kind: "deny", content: { version: 1, ...content } }));
    const ids = said.map((statement) => statementId(statement, sha256));
    for (const [n, of] of lifts.entries()) {
      said.push({
        kind: "deny-lift",
        content: { version: 1, deny: ids[of] ?? "f".repeat(64), reason: "over", by: "cas", atMs: NOW_MS + n },
      });
    }
    const next = [0, 0];
    const place = (log: number): number => {
      const at = next[log] ?? 0;
      next[log] = at + 1;
      return at;
    };
    const items = said.flatMap((statement, n) =>
      [0, 1].flatMap((log) => ((where[n] ?? 0) === log || (where[n] ?? 0) > 1 ? [itemAt(statement, log, place(log))] : [])),
    );
    return { items: chained(items), contents, ids, lifted: new Set(lifts.map((of) => ids[of])) };
  });

async function seen(ledger: Ledger): Promise<unknown> {
  const all = await ledger.listDenies({ only: "all", nowMs: NOW_MS });
  const inForce = await ledger.listDenies({ only: "in-force", nowMs: NOW_MS });
  return { all: all.items, inForce: inForce.items.map(({ id }) => id), denied: deniedText((await ledger.denied(NOW_MS)).pairs) };
}

describe("denies in the ledger", () => {
  test("are the same in every order, grouping and repetition of the records, and after a rebuild", async () => {
    // Making the tables takes longer than all the rest.
    const [one, two] = [openMemoryDatabase(), openMemoryDatabase()];
    await fc.assert(
      fc.asyncProperty(histories, fc.infiniteStream(fc.nat(1_000)), async ({ items, contents, ids, lifted }, random) => {
        const straight = await ledgerWith(one, [items]);
        const expected = await seen(straight.ledger);
        const shuffled = [...items, ...items.slice(0, 3)]
          .map((item) => ({ item, at: random.next().value }))
          .toSorted((a, b) => a.at - b.at)
          .map(({ item }) => [item]);
        const other = await ledgerWith(two, shuffled);
        expect(await seen(other.ledger)).toEqual(expected);
        await other.ledger.startRebuild({ epoch: other.epoch });
        await drain(other.ledger, other.epoch, 3);
        expect(await seen(other.ledger)).toEqual(expected);
        const holds = ids.filter((id, n) => !lifted.has(id) && (contents[n]?.expiresAtMs ?? Infinity) > NOW_MS);
        expect((expected as { inForce: string[] }).inForce.toSorted()).toEqual(holds.toSorted());
        for (const database of [one, two]) database.clear();
      }),
      { numRuns: 40 },
    );
    for (const database of [one, two]) database.close();
  });

  test("come page by page, the newest first, and each can be read by its id", async () => {
    const items = chained(
      [1, 2, 3].map((n) => {
        const content = {
          version: 1 as const,
          ranges: [`192.0.2.${n}`],
          ports: null,
          reason: "",
          by: "ann",
          expiresAtMs: null,
          atMs: NOW_MS + n,
        };
        return itemAt({ kind: "deny", content }, 0, n - 1);
      }),
    );
    const { ledger } = await ledgerWith(openMemoryDatabase(), [items]);
    const first = await ledger.listDenies({ only: "all", nowMs: NOW_MS, limit: 2 });
    expect(first.items.map(({ ranges }) => ranges[0])).toEqual(["192.0.2.3", "192.0.2.2"]);
    const second = await ledger.listDenies({ only: "all", nowMs: NOW_MS, limit: 2, cursor: first.next ?? "" });
    expect(second).toMatchObject({ items: [{ ranges: ["192.0.2.1"], lifted: null, expiresAtMs: null }], next: null });
    expect(await ledger.deny(items[0]?.id ?? "")).toEqual(second.items[0]);
    expect(await ledger.deny("0".repeat(64))).toBeNull();
    ledger.close();
  });
});
