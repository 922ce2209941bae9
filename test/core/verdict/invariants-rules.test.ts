import fc from "fast-check";
import { describe, expect, test } from "vitest";
import type { PositionedRecord } from "../../../src/core/verdict/coverage.ts";
import { keyOf, releaseOf, revokeOf } from "../../ledger/builders.ts";
import { histories, news, REGIONS, type RegionName, register, silenced, Story } from "./stories.ts";

const RUNS = { numRuns: 80 };
const someRegions = fc.subarray([...REGIONS]);

describe("confirms", () => {
  test("I8 while one listed region that sighted the service has not confirmed, it is not closed", () => {
    fc.assert(
      fc.property(
        fc.subarray([...REGIONS], { minLength: 1 }),
        someRegions,
        someRegions,
        fc.constantFrom(...REGIONS),
        (listed, sighted, confirmed, home) => {
          const story = new Story();
          story.upload();
          for (const region of sighted) story.sight(region);
          const { job } = story.miss({ policy: { closeAfter: 1, confirm: true }, regions: listed, home });
          for (const region of confirmed) story.probe(region, job);
          const vantages = listed.filter((region) => sighted.includes(region));
          const required: RegionName[] = vantages.length === 0 ? [home] : vantages;
          expect(story.verdict()).toBe(required.every((region) => confirmed.includes(region)) ? "closed" : "missing");
        },
      ),
      RUNS,
    );
  });

  test("I8 neither an error, nor one other scanner, nor a look from before the miss or the sighting confirms", () => {
    const story = new Story();
    story.sight("eu");
    const early = story.frontier();
    const { job } = story.miss({ policy: { closeAfter: 1, confirm: true } });
    story.probe("eu", job, "error");
    story.probe("eu", job, "filtered", { basis: "others", scanner: "scanner-2" });
    story.probe("eu", job, "closed", { basis: "others", scanner: "scanner-2" });
    story.probe("eu", job, "closed", { frontier: early });
    expect(story.verdict()).toBe("missing");
    story.probe("eu", job, "closed", { basis: "others", scanner: "scanner-3" });
    expect(story.verdict()).toBe("closed");
    story.probe("eu", job, "open");
    expect(story.verdict()).toBe("open");
  });
});

describe("liveness", () => {
  test("I13 without faults, a service that is dead closes within closeAfter + 1 covers and its confirms", () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 5 }),
        fc.boolean(),
        fc.subarray([...REGIONS], { minLength: 1 }),
        someRegions,
        (closeAfter, confirm, listed, sighted) => {
          const story = new Story();
          story.upload();
          for (const region of sighted) story.sight(region);
          let covers = 0;
          while (story.verdict() !== "closed" && covers <= closeAfter + 1) {
            const { job } = story.miss({ policy: { closeAfter, confirm }, regions: listed });
            covers++;
            if (confirm) for (const region of new Set<RegionName>(["eu", ...listed])) story.probe(region, job);
          }
          expect(covers).toBe(closeAfter);
        },
      ),
      RUNS,
    );
  });
});

describe("trust", () => {
  test("I14 a revoke counts the same wherever it stands, and the key's misses and confirms as if they had never been trusted", () => {
    fc.assert(
      fc.property(histories, fc.constantFrom("A", "B", "C"), fc.nat(), (records, letter, nth) => {
        const key = keyOf(letter);
        const revoke = revokeOf(key);
        const at = nth % (records.length + 1);
        const late = register([...records, news(revoke)]);
        expect(register([news(revoke), ...records])).toEqual(late);
        expect(register([...records.slice(0, at), news(revoke, 0, "ap"), ...records.slice(at)])).toEqual(late);
        // Sightings stand: only coverage and confirms go.
        expect(register(records.map((record) => (record.author === key ? distrusted(record) : record)))).toEqual(late);
      }),
      RUNS,
    );
  });
});

describe("the brake", () => {
  test("I18 a held tile misses nothing until its release is here, whatever else is", () => {
    fc.assert(
      fc.property(histories, fc.infiniteStream(fc.boolean()), (all, kept) => {
        // A region that holds only some of the releases.
        const records = all.map((record) => (record.statement.kind === "release" && kept.next().value ? silenced(record) : record));
        const released = new Set(
          records.flatMap(({ statement }) => (statement.kind === "release" ? [statement.content.tileComplete] : [])),
        );
        const held = new Set(
          records.flatMap(({ id, statement }) =>
            statement.kind === "tile-complete" && statement.content.held !== null && !released.has(id)
              ? [`${statement.content.job}/${statement.content.tile}`]
              : [],
          ),
        );
        const without = records.map((record) =>
          record.statement.kind === "tile-complete" && held.has(`${record.statement.content.job}/${record.statement.content.tile}`)
            ? keptAsNews(record)
            : record,
        );
        expect(register(records)).toEqual(register(without));
      }),
      RUNS,
    );
  });

  test("I18 a release lets the tile count, and both count when the next job agrees", () => {
    const story = new Story();
    story.sight("eu");
    const options = { policy: { closeAfter: 2, confirm: false } };
    const first = story.miss(options);
    const holds = { ...first.complete, statement: first.complete.statement };
    if (holds.statement.kind !== "tile-complete") throw new Error("no tile-complete");
    const held = story.records.map((record) =>
      record.id === first.complete.id && record.statement.kind === "tile-complete"
        ? { ...record, statement: { ...record.statement, content: { ...record.statement.content, held: "brake" } } }
        : record,
    );
    story.records.splice(0, story.records.length, ...held);
    expect(story.verdict()).toBe("open");
    story.miss(options);
    expect(story.verdict()).toBe("missing");
    story.put(releaseOf(first.job, 0, first.complete));
    expect(story.verdict()).toBe("closed");
  });
});

/** What a record is worth whose author nobody trusts. */
function distrusted(record: PositionedRecord): PositionedRecord {
  const { statement } = record;
  if (statement.kind === "report") {
    const outcome = { kind: "partial" as const, reasons: ["not trusted"] };
    return { ...record, statement: { kind: "report", content: { ...statement.content, outcome } } };
  }
  if (statement.kind !== "probe") return record;
  const results = statement.content.results.map((result) => (result.answer === "open" ? result : { ...result, answer: "error" as const }));
  return { ...record, statement: { kind: "probe", content: { ...statement.content, results } } };
}

/** A tile-complete that names a report which nobody has: other jobs may still know of it. */
function keptAsNews(record: PositionedRecord): PositionedRecord {
  if (record.statement.kind !== "tile-complete") return record;
  const content = { ...record.statement.content, reports: [{ shard: 1, id: "0".repeat(64) }], held: null };
  return { ...record, statement: { kind: "tile-complete", content } };
}
