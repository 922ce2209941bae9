import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { type Asked, chooseScanners } from "../../../scanner-daemon/keeper/confirm-choice.ts";

type Input = Parameters<typeof chooseScanners>[0];

const choose = (input: Partial<Input> & Pick<Input, "able">): { basis: string; scanners: readonly string[] } => {
  const { basis, scanners } = chooseScanners({ sighter: "a", confirmedBy: [], isSettling: false, asked: new Map(), ...input });
  return { basis, scanners };
};
const asked = (tries: Record<string, number>, pending: readonly string[] = []): Map<string, Asked> =>
  new Map(Object.entries(tries).map(([name, count]) => [name, { tries: count, pending: pending.includes(name), untilMs: 0 }]));
const two = (...scanners: string[]): object => ({ basis: "others", scanners });
const alone = { basis: "sighter", scanners: ["a"] };

describe("who confirms", () => {
  test("the last sighter and one other at the same time; who has answered is not asked again", () => {
    const able = ["a", "b", "c"];
    expect(choose({ able })).toEqual(two("a", "b"));
    expect(choose({ able, confirmedBy: ["a"] })).toEqual(two("b"));
    expect(choose({ able, confirmedBy: ["b"] })).toEqual(two("a"));
    expect(choose({ able, asked: asked({ b: 1 }) }), "another one than the one that failed").toEqual(two("a", "c"));
    expect(choose({ able, asked: asked({ b: 1 }, ["b"]) }), "the one that is waited for").toEqual(two("a", "b"));
  });

  test("the last sighter alone when no other is there, or when the others were asked three times in vain", () => {
    expect(choose({ able: ["a"] })).toEqual(alone);
    expect(choose({ able: ["a"], isSettling: true })).toEqual({ basis: "sighter", scanners: [] });
    expect(choose({ able: ["a", "b", "c"], asked: asked({ b: 2, c: 1 }) })).toEqual(alone);
    expect(choose({ able: ["a", "b"], asked: asked({ b: 3 }), confirmedBy: ["a"] })).toEqual(alone);
    expect(choose({ able: ["a", "b"], asked: asked({ b: 3 }, ["b"]) }), "while one is waited for").toEqual(two("a", "b"));
  });

  test("two others when the last sighter is away, unknown, or answers nothing; never one of them twice", () => {
    expect(choose({ able: ["b", "c", "d"] })).toEqual(two("b", "c"));
    expect(choose({ able: ["b", "c", "d"], confirmedBy: ["b"] })).toEqual(two("c"));
    expect(choose({ able: ["b", "c"], confirmedBy: ["a"] }), "the sighter's own voice stays").toEqual(two("b"));
    expect(choose({ able: ["a", "b", "c"], asked: asked({ a: 3 }) })).toEqual(two("b", "c"));
    expect(choose({ sighter: null, able: ["b", "c"] })).toEqual(two("b", "c"));
  });

  test("nobody, when there is only one other; but a last sighter that failed often is asked again then", () => {
    expect(choose({ able: ["b"] }).scanners).toEqual([]);
    expect(choose({ sighter: null, able: ["b"] }).scanners).toEqual([]);
    expect(choose({ able: ["a", "b"], asked: asked({ a: 9 }) })).toEqual(two("a", "b"));
  });

  test("of the others those that are asked already come first, then those that failed least", () => {
    expect(choose({ able: ["b", "c", "d", "e"], asked: asked({ d: 1, b: 2 }, ["d"]) }).scanners).toEqual(["d", "c"]);
  });
});

const NAMES = ["a", "b", "c", "d"] as const;
const someNames = fc.subarray([...NAMES]);
const input: fc.Arbitrary<Input> = fc.record({
  sighter: fc.option(fc.constantFrom(...NAMES), { nil: null }),
  confirmedBy: someNames,
  able: someNames,
  isSettling: fc.boolean(),
  asked: fc
    .array(fc.tuple(fc.constantFrom(...NAMES), fc.record({ untilMs: fc.nat(9), pending: fc.boolean(), tries: fc.nat(4) })), {
      maxLength: 4,
    })
    .map((entries) => new Map(entries)),
});

describe("whatever the state is", () => {
  test("only live scanners are asked, none twice, and no one that has confirmed already is asked as one of two", () => {
    fc.assert(
      fc.property(input, (given) => {
        const { basis, scanners } = chooseScanners(given);
        expect(new Set(scanners).size).toBe(scanners.length);
        expect(scanners.length).toBeLessThanOrEqual(2);
        for (const scanner of scanners) {
          expect(given.able).toContain(scanner);
          if (basis === "others") expect(given.confirmedBy).not.toContain(scanner);
          else expect(scanner).toBe(given.sighter);
        }
      }),
    );
  });

  test("a last sighter is asked alone only when no other is there for certain, or after three vain questions to others", () => {
    fc.assert(
      fc.property(input, (given) => {
        const { basis, scanners } = chooseScanners(given);
        if (basis !== "sighter" || scanners.length === 0) return;
        const others = given.able.filter((scanner) => scanner !== given.sighter && !given.confirmedBy.includes(scanner));
        const states = [...given.asked].filter(([scanner]) => scanner !== given.sighter);
        const vain = states.reduce((sum, [, { tries }]) => sum + tries, 0);
        expect(others.length === 0 ? !given.isSettling : vain >= 3).toBe(true);
        expect(others.some((scanner) => given.asked.get(scanner)?.pending === true)).toBe(false);
      }),
    );
  });

  test("whoever answers when: one voice closes nothing unless the others are away or in vain, and there is always an end", () => {
    const story = fc.record({
      able: fc.subarray(["b", "c", "d"]).map((others) => ["a", ...others]),
      fails: fc.infiniteStream(fc.nat(3).map((n) => n === 0)),
      picks: fc.infiniteStream(fc.nat(7)),
    });
    fc.assert(
      fc.property(story, ({ able, fails, picks }) => {
        const told = follow(able, fails, picks);
        const voices = new Set(told.voices.map(({ scanner }) => scanner));
        expect(voices.size >= 2 || able.length === 1 || told.vain >= 3).toBe(true);
      }),
    );
  });
});

type Voice = { readonly scanner: string; readonly basis: string };

/** Asks until the service would be closed, with answers that come in any order or not at all; throws when there is no end. */
function follow(able: readonly string[], fails: Iterator<boolean>, picks: Iterator<number>): { voices: Voice[]; vain: number } {
  const states = new Map<string, Asked>();
  const waiting: Voice[] = [];
  const voices: Voice[] = [];
  let vain = 0;
  const others = (): string[] => [...new Set(voices.flatMap(({ scanner, basis }) => (basis === "others" ? [scanner] : [])))];
  for (let step = 0; step < 200; step += 1) {
    if (others().length >= 2 || voices.some(({ basis }) => basis === "sighter")) return { voices, vain };
    const choice = chooseScanners({ sighter: "a", confirmedBy: others(), able, isSettling: false, asked: states });
    for (const scanner of choice.scanners) {
      const state = states.get(scanner);
      if (state?.pending === true) continue;
      states.set(scanner, { untilMs: 0, pending: true, tries: (state?.tries ?? 0) + 1 });
      waiting.push({ scanner, basis: choice.basis });
    }
    const [answer] = waiting.splice(picks.next().value % Math.max(1, waiting.length), 1);
    if (answer === undefined) continue;
    const state = states.get(answer.scanner);
    if (fails.next().value === true && state !== undefined) {
      states.set(answer.scanner, { ...state, pending: false });
      if (answer.scanner !== "a") vain += 1;
    } else {
      states.delete(answer.scanner);
      voices.push(answer);
    }
  }
  throw new Error("it never came to an end");
}
