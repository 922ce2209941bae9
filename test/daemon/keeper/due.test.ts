import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { isDue, isSilent, type News, whoIsInTurn } from "../../../scanner-daemon/keeper/due.ts";

const PLAN = { enabled: true, homes: ["eu"], intervalS: 60, takeoverAfterS: 900, createdAtMs: 0 };
const HOUR_MS = 3_600_000;

function newsAt(nowMs: number, last: Readonly<Record<string, number>> = {}): News {
  return { nowMs, lastMs: (region) => last[region] ?? 0 };
}

function ran(lastPlannedAtMs: number, ...homes: string[]) {
  return { lastPlannedAtMs, running: homes.map((home) => ({ job: `job of ${home}`, home })) };
}

describe("a plan with one home", () => {
  const due = (plan: Partial<typeof PLAN> | { intervalS: null }, run: ReturnType<typeof ran> | undefined, nowMs: number, region = "eu") =>
    isDue({ ...PLAN, ...plan }, { region, run, news: newsAt(nowMs) });

  test("is due at once when it never ran, then whenever its interval has passed since the last planning", () => {
    expect(due({}, undefined, 0)).toBe(true);
    expect(due({}, ran(1_000), 60_999)).toBe(false);
    expect(due({}, ran(1_000), 61_000)).toBe(true);
  });

  test("is never due while a job of it runs, in another region, when it is disabled or has no interval", () => {
    expect(due({}, ran(0, "eu"), 1e12)).toBe(false);
    expect(due({}, undefined, 1e12, "us")).toBe(false);
    expect(due({ enabled: false }, undefined, 1e12)).toBe(false);
    expect(due({ intervalS: null }, undefined, 1e12)).toBe(false);
  });
});

describe("a plan with a cron pattern", () => {
  const plan = { ...PLAN, intervalS: null, cron: "30 3 * * *", timeZone: "Europe/Berlin", createdAtMs: Date.parse("2026-07-01T12:00:00Z") };
  const due = (run: ReturnType<typeof ran> | undefined, at: string): boolean =>
    isDue(plan, { region: "eu", run, news: newsAt(Date.parse(at)) });

  test("waits for its time also the first time, runs once for times that were missed, and never beside itself", () => {
    expect(due(undefined, "2026-07-02T01:29:59Z")).toBe(false);
    expect(due(undefined, "2026-07-02T01:30:00Z")).toBe(true);
    const late = ran(Date.parse("2026-07-05T09:00:00Z"));
    expect(due(late, "2026-07-06T01:29:59Z")).toBe(false);
    expect(due(late, "2026-07-06T01:30:00Z")).toBe(true);
    expect(due(ran(Date.parse("2026-07-05T09:00:00Z"), "eu"), "2026-07-08T00:00:00Z")).toBe(false);
  });
});

describe("a plan whose home is silent", () => {
  const plan = { ...PLAN, homes: ["eu", "us", "ap"], intervalS: 3_600 };
  const due = (region: string, nowMs: number, last: Record<string, number>, run: ReturnType<typeof ran> | undefined = ran(0)) =>
    isDue(plan, { region, run, news: newsAt(nowMs, last) });

  test("is planned by the next home once it is overdue and nothing came for takeoverAfterS", () => {
    const last = { eu: 0, us: 0, ap: 0 };
    expect(due("us", HOUR_MS + 899_999, last)).toBe(false);
    expect(due("us", HOUR_MS + 900_000, last)).toBe(true);
    expect(due("us", HOUR_MS + 900_000, { eu: HOUR_MS })).toBe(true);
    expect(due("us", HOUR_MS + 900_000, { eu: HOUR_MS + 1 })).toBe(false);
  });

  test("is planned by the third only when the second is silent too", () => {
    const nowMs = HOUR_MS + 1_800_000;
    expect(due("ap", nowMs, { us: nowMs - 1 })).toBe(false);
    expect(due("ap", nowMs - 1, {})).toBe(false);
    expect(due("ap", nowMs, {})).toBe(true);
  });

  test("is taken over although a job of the silent home still runs, but only once", () => {
    const nowMs = HOUR_MS + 900_000;
    expect(due("us", nowMs, {}, ran(0, "eu"))).toBe(true);
    expect(due("us", nowMs, {}, ran(0, "eu", "us"))).toBe(false);
  });

  test("that is back waits for the job of the region that took over", () => {
    const nowMs = 3 * HOUR_MS;
    expect(due("eu", nowMs, { us: nowMs }, ran(HOUR_MS, "us"))).toBe(false);
    expect(due("eu", nowMs, { us: nowMs }, ran(HOUR_MS))).toBe(true);
  });

  test("leaves requests to the first home that is heard", () => {
    expect(whoIsInTurn(plan, "us", newsAt(HOUR_MS, { eu: HOUR_MS }))).toBe("eu");
    expect(whoIsInTurn(plan, "us", newsAt(HOUR_MS))).toBe("us");
    expect(whoIsInTurn(plan, "ap", newsAt(HOUR_MS, { us: HOUR_MS }))).toBe("us");
    expect(whoIsInTurn(plan, "sa", newsAt(HOUR_MS))).toBe("eu");
  });
});

const REGIONS = ["eu", "us", "ap", "sa"];
const plans = fc.record({
  enabled: fc.boolean(),
  homes: fc.subarray(REGIONS, { minLength: 1 }).chain((homes) => fc.shuffledSubarray(homes, { minLength: homes.length })),
  intervalS: fc.constantFrom(null, 60, 3_600),
  takeoverAfterS: fc.constantFrom(60, 900),
  createdAtMs: fc.nat(HOUR_MS),
});
const runs = fc.option(
  fc.record({
    lastPlannedAtMs: fc.nat(3 * HOUR_MS),
    running: fc.array(fc.record({ job: fc.constant("j"), home: fc.constantFrom(...REGIONS) }), { maxLength: 3 }),
  }),
  { nil: undefined },
);
const moments = fc.record({
  plan: plans,
  run: runs,
  nowMs: fc.nat(4 * HOUR_MS),
  last: fc.dictionary(fc.constantFrom(...REGIONS), fc.nat(4 * HOUR_MS)),
});

describe("for any plan, moment and news", () => {
  test("a region with a running job of the plan never makes another, and a region that is no home makes none", () => {
    fc.assert(
      fc.property(moments, fc.constantFrom(...REGIONS), ({ plan, run, nowMs, last }, region) => {
        const due = isDue(plan, { region, run, news: newsAt(nowMs, last) });
        if (run?.running.some(({ home }) => home === region) === true || !plan.homes.includes(region)) expect(due).toBe(false);
      }),
    );
  });

  test("at most one region makes a job of regions that hear each other", () => {
    fc.assert(
      fc.property(moments, ({ plan, run, nowMs }) => {
        const heard = Object.fromEntries(REGIONS.map((region) => [region, nowMs]));
        const makers = REGIONS.filter((region) => isDue(plan, { region, run, news: newsAt(nowMs, heard) }));
        expect(makers.length).toBeLessThanOrEqual(1);
        expect(makers.every((region) => region === plan.homes[0])).toBe(true);
      }),
    );
  });

  test("while nobody but one of its homes is heard, that one plans in the end", () => {
    fc.assert(
      fc.property(plans, fc.nat(3), (plan, place) => {
        const region = plan.homes[place % plan.homes.length] ?? "";
        const nowMs = 1e12;
        const due = isDue(plan, { region, run: ran(0, ...plan.homes.filter((home) => home !== region)), news: newsAt(nowMs) });
        expect(due).toBe(plan.enabled && plan.intervalS !== null);
      }),
    );
  });

  test("once a plan is due in a region it stays so until there is news or a job", () => {
    fc.assert(
      fc.property(moments, fc.constantFrom(...REGIONS), fc.nat(HOUR_MS), ({ plan, run, nowMs, last }, region, laterMs) => {
        fc.pre(isDue(plan, { region, run, news: newsAt(nowMs, last) }));
        expect(isDue(plan, { region, run, news: newsAt(nowMs + laterMs, last) })).toBe(true);
      }),
    );
  });

  test("a region is silent exactly from takeoverAfterS on", () => {
    fc.assert(
      fc.property(fc.nat(HOUR_MS), fc.nat(HOUR_MS), (lastMs, sinceMs) => {
        expect(isSilent(PLAN, "eu", newsAt(lastMs + sinceMs, { eu: lastMs }))).toBe(sinceMs >= 900_000);
      }),
    );
  });
});
