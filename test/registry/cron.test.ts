import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { checkCron, dueAfterMs, longestPauseS, nextRunMs } from "../../src/registry/cron.ts";

const at = (text: string): number => Date.parse(text);
const iso = (timeMs: number | null): string | null => (timeMs === null ? null : new Date(timeMs).toISOString());

describe("cron patterns", () => {
  test("are read in their time zone, over both changes of the clock", () => {
    expect(iso(nextRunMs("30 3 * * 1-5", "Europe/Berlin", at("2026-03-27T12:00:00Z")))).toBe("2026-03-30T01:30:00.000Z");
    expect(iso(nextRunMs("0 12 * * *", "UTC", at("2026-01-01T12:00:00Z")))).toBe("2026-01-02T12:00:00.000Z");
    const runs = (from: string, pattern: string): (string | null)[] => {
      let lastMs: number | null = at(from);
      return Array.from({ length: 3 }, () => iso((lastMs = nextRunMs(pattern, "Europe/Berlin", lastMs ?? 0))));
    };
    // 02:30 does not exist on 29 March, and exists twice on 25 October.
    expect(runs("2026-03-28T00:00:00Z", "30 2 * * *")).toEqual([
      "2026-03-28T01:30:00.000Z",
      "2026-03-29T01:00:00.000Z",
      "2026-03-30T00:30:00.000Z",
    ]);
    expect(runs("2026-10-24T12:00:00Z", "30 2 * * *")).toEqual([
      "2026-10-25T00:30:00.000Z",
      "2026-10-26T01:30:00.000Z",
      "2026-10-27T01:30:00.000Z",
    ]);
  });

  test.each([
    ["* * * *", "UTC", /no cron pattern/],
    ["* * * * * *", "UTC", /no cron pattern/],
    ["61 * * * *", "UTC", /no cron pattern/],
    ["0 0 30 2 *", "UTC", /never comes to pass/],
    ["0 3 * * *", "Mars/Base", /no time zone/],
    ["x".repeat(300), "UTC", /at most 200/],
  ])("%s in %s is refused in words that name it", (pattern, timeZone, message) => {
    expect(() => checkCron(pattern, timeZone)).toThrow(message);
  });

  test("any text is taken or refused, never a crash", () => {
    const word = fc.oneof(fc.string({ maxLength: 30 }), fc.stringMatching(/^([0-9*/,L#-]{1,4} ){4}[0-9*/,L#-]{1,4}$/));
    fc.assert(
      fc.property(word, (text) => {
        try {
          checkCron(text, "UTC");
        } catch (error) {
          expect(error).toMatchObject({ code: "invalid" });
        }
      }),
      { numRuns: 500 },
    );
  });

  test("the next run is after the last one, and never further off than the longest pause", () => {
    const rhythms = fc.constantFrom("*/15 * * * *", "0 3 * * *", "0 3 * * 1-5", "0 0 1 * *");
    fc.assert(
      fc.property(rhythms, fc.integer({ min: at("2024-01-01"), max: at("2030-01-01") }), (cron, lastMs) => {
        const rhythm = { intervalS: null, cron, timeZone: "UTC" };
        const nextMs = dueAfterMs(rhythm, lastMs) ?? 0;
        expect(nextMs).toBeGreaterThan(lastMs);
        expect((nextMs - lastMs) / 1_000).toBeLessThanOrEqual(longestPauseS(rhythm) ?? 0);
      }),
      { numRuns: 200 },
    );
  });

  test("an interval is an interval, and neither is on request", () => {
    expect(dueAfterMs({ intervalS: 60, cron: null, timeZone: "UTC" }, 1_000)).toBe(61_000);
    expect(dueAfterMs({ intervalS: null, cron: null, timeZone: "UTC" }, 1_000)).toBeNull();
    expect(longestPauseS({ intervalS: null, cron: null, timeZone: "UTC" })).toBeNull();
    expect(longestPauseS({ intervalS: null, cron: "0 3 * * 1-5", timeZone: "UTC" })).toBe(3 * 86_400);
  });
});
