import fc from "fast-check";
import { describe, expect, test } from "vitest";
import type { PositionedRecord } from "../../../src/core/verdict/coverage.ts";
import { isFrontierHeld } from "../../../src/core/verdict/coverage.ts";
import { containsAddress } from "../../../src/core/range.ts";
import { parseAddress } from "../../../src/core/address.ts";
import { tileAt, tileCount } from "../../../src/core/tile.ts";
import { itemOf, reportOf, revokeOf, sightingsOf, uploadOf } from "../../ledger/builders.ts";
import { having, histories, news, register, silenced } from "./stories.ts";

// Invariants of the verdict over any set of records. The others of the list are with the layer where they live.
const RUNS = { numRuns: 80 };

describe("the verdict is a function of the set of records", () => {
  test("I1 the order of records does not matter", () => {
    fc.assert(
      fc.property(histories, fc.infiniteStream(fc.nat()), (records, keys) => {
        expect(register(byKey(records, keys))).toEqual(register(records));
      }),
      RUNS,
    );
  });

  test("I2 a record that comes again has no effect, up to fifty times", () => {
    fc.assert(
      fc.property(histories, fc.array(fc.tuple(fc.nat(), fc.integer({ min: 1, max: 50 })), { maxLength: 3 }), (records, repeats) => {
        const again = repeats.flatMap(([index, times]) => {
          const record = records[index % records.length];
          return record === undefined ? [] : Array.from({ length: times }, () => record);
        });
        expect(register([...records, ...again])).toEqual(register(records));
      }),
      RUNS,
    );
  });

  test("I3 however regions exchange what they hold, those that hold the same say the same", () => {
    fc.assert(
      fc.property(
        histories,
        fc.array(fc.tuple(fc.nat(2), fc.nat(2)), { maxLength: 12 }),
        fc.infiniteStream(fc.nat(2)),
        (records, syncs, places) => {
          const held = [0, 1, 2].map(() => new Map<string, PositionedRecord>());
          for (const record of records) held[places.next().value]?.set(`${record.log}/${record.rseq}`, record);
          for (const [from, to] of syncs) for (const [position, record] of held[from] ?? []) held[to]?.set(position, record);
          // At last everybody hears of everything, over whatever way.
          for (const [from, to] of [
            [0, 1],
            [1, 2],
            [2, 0],
            [0, 1],
          ] as const)
            for (const [position, record] of held[from] ?? []) held[to]?.set(position, record);
          const ends = held.map((region) => register([...region.values()]));
          for (const end of ends) expect(end).toEqual(register(records));
        },
      ),
      RUNS,
    );
  });

  test("I9 no verdict depends on a time", () => {
    fc.assert(
      fc.property(histories, fc.integer({ min: -1_000_000_000, max: 10 ** 12 }), (records, offsetMs) => {
        expect(register(records.map((record) => shifted(record, offsetMs)))).toEqual(register(records));
      }),
      RUNS,
    );
  });
});

describe("nothing closes a service but complete evidence", () => {
  test("I4 no new sighting, partial report, revoke, upload or senseless record closes one", () => {
    const kinds = fc.constantFrom("sighting", "partial report", "revoke", "unknown tile-complete");
    fc.assert(
      fc.property(histories, kinds, fc.nat(), (records, kind, nth) => {
        const before = having("closed", records);
        for (const name of having("closed", [...records, newsOf(kind, records, nth)])) expect(before).toContain(name);
      }),
      RUNS,
    );
  });

  test("I5 the loss of a report, a part of it, or a negative probe closes none", () => {
    fc.assert(
      fc.property(histories, fc.nat(), (records, nth) => {
        const runs = Map.groupBy(
          records.flatMap(({ id, statement }) => (statement.kind === "report" ? [{ id, run: statement.content.runId }] : [])),
          ({ run }) => run,
        );
        // Stated exceptions: losing a sighting, or a report that contradicts another one.
        const losable = records.filter(({ statement }) => {
          if (statement.kind === "report") return new Set(runs.get(statement.content.runId)?.map(({ id }) => id)).size === 1;
          return statement.kind === "probe" && statement.content.results.every(({ answer }) => answer !== "open");
        });
        const lost = losable[nth % Math.max(1, losable.length)];
        const before = having("closed", records);
        for (const name of having(
          "closed",
          records.filter((record) => record !== lost),
        ))
          expect(before).toContain(name);
        if (lost === undefined) return;
        for (const name of having(
          "closed",
          records.map((record) => (record.id === lost.id ? silenced(record) : record)),
        ))
          expect(before).toContain(name);
      }),
      RUNS,
    );
  });

  test("I7 a miss comes from a tile that holds the service, is complete and is here with all its reports", () => {
    fc.assert(
      fc.property(histories, (records) => {
        for (const [name, verdict] of register(records)) {
          if (verdict !== "open") expect(covering(records, name)).toBeGreaterThan(0);
        }
        const without = records.map((record) => (record.statement.kind === "tile-complete" ? silenced(record) : record));
        for (const [, verdict] of register(without)) expect(verdict).toBe("open");
      }),
      RUNS,
    );
  });

  test("I17 a job covers nothing while a record at or below its frontier is missing", () => {
    fc.assert(
      fc.property(histories, fc.nat(), (records, nth) => {
        const lost = records[nth % records.length];
        const held = records.filter((record) => record !== lost);
        const gaps = held.filter(({ statement }) => statement.kind === "job" && !isFrontierHeld(held, statement.content.frontier));
        const without = held.map((record) => (gaps.includes(record) ? silenced(record) : record));
        expect(register(held)).toEqual(register(without));
      }),
      RUNS,
    );
  });
});

function byKey(records: readonly PositionedRecord[], keys: fc.Stream<number>): PositionedRecord[] {
  return records
    .map((record) => ({ record, key: keys.next().value }))
    .toSorted((a, b) => a.key - b.key)
    .map(({ record }) => record);
}

/** Every time in a record moved; its id and what refers to it stay. */
function shifted(record: PositionedRecord, offsetMs: number): PositionedRecord {
  const text = JSON.stringify(record.statement, (name, value: unknown) =>
    name.endsWith("Ms") && typeof value === "number" ? value + offsetMs : value,
  );
  const statement: PositionedRecord["statement"] = JSON.parse(text);
  const sightings = record.sightings.map((sighting) => ({ ...sighting, observedAtS: sighting.observedAtS + offsetMs }));
  return { ...record, statement, sightings };
}

function newsOf(kind: string, records: readonly PositionedRecord[], nth: number): PositionedRecord {
  const jobs = records.filter(({ statement }) => statement.kind === "job");
  const job = jobs[nth % Math.max(1, jobs.length)]?.id ?? "0".repeat(64);
  switch (kind) {
    case "sighting":
      return news(uploadOf(sightingsOf(["192.0.2.1:80", "192.0.2.9:80"].slice(nth % 2)), "late"));
    case "partial report":
      return news(reportOf({ key: { job, tile: 0, shard: 1, attempt: 2 }, run: "late", partial: true }));
    case "revoke":
      return news(revokeOf(records[nth % records.length]?.author ?? ""));
    default:
      return news(
        itemOf({
          kind: "tile-complete",
          content: { version: 1, job, tile: 9_999, reports: [{ shard: 1, id: "0".repeat(64) }], held: null },
        }),
      );
  }
}

/** Tile-completes of a tile with this address, whose reports are all here: read anew from the records. */
function covering(records: readonly PositionedRecord[], name: string): number {
  const address = parseAddress(name.split("/")[0] ?? "");
  return records.filter(({ statement }) => {
    if (statement.kind !== "tile-complete") return false;
    const { job, tile, reports } = statement.content;
    const spec = records.find(({ id }) => id === job)?.statement;
    if (spec?.kind !== "job" || tile >= tileCount(spec.content)) return false;
    const cut = tileAt(spec.content, tile);
    return (
      containsAddress(cut.ranges, address) &&
      reports.length === cut.members.length &&
      reports.every((report) =>
        records.some(({ id, statement: one }) => id === report.id && one.kind === "report" && one.content.outcome.kind === "complete"),
      )
    );
  }).length;
}
