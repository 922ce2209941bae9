import * as fc from "fast-check";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { firstGood } from "../../workers/fall-through.ts";
import { createRouter, type RegionApp } from "../../workers/router.ts";

const PATIENCE = { stepMs: 500, totalMs: 1_900 };

beforeEach(() => {
  vi.useFakeTimers();
});

afterEach(() => {
  vi.useRealTimers();
});

/** When an answer comes (null: never) and with which status. */
type Plan = { readonly afterMs: number | null; readonly status: number };

function regionOf(name: string, plan: Plan): RegionApp & { asked: number } {
  const region = {
    name,
    latitude: null,
    longitude: null,
    asked: 0,
    fetch: (): Promise<Response> => {
      region.asked++;
      return answerAs(plan, name);
    },
  };
  return region;
}

async function answerAs({ afterMs, status }: Plan, name: string): Promise<Response> {
  if (afterMs === null) return new Promise(() => undefined);
  await new Promise((resolve) => setTimeout(resolve, afterMs));
  return new Response(name, { status, headers: { "x-portolan-region": name } });
}

/** What became of it, and after how many milliseconds. */
async function outcome(answer: Response | Promise<Response>): Promise<{ region: string; status: number; ms: number }> {
  const begun = Date.now();
  const settled = Promise.resolve(answer).then((response) => ({ response, ms: Date.now() - begun }));
  await vi.advanceTimersByTimeAsync(10_000);
  const { response, ms } = await settled;
  return { region: response.headers.get("x-portolan-region") ?? "", status: response.status, ms };
}

describe("fall-through of reads", () => {
  test("whatever the regions do: an answer within the time, a good one when any comes in time, and never more tries than there are", async () => {
    const plan = fc.record({ afterMs: fc.option(fc.integer({ min: 0, max: 3_000 })), status: fc.constantFrom(200, 404, 500, 503, 503) });
    await fc.assert(
      fc.asyncProperty(fc.array(plan, { minLength: 1, maxLength: 4 }), async (plans) => {
        const asked = plans.map(() => 0);
        const ended: number[] = [];
        const begun = Date.now();
        const tries = plans.map((one, index) => async () => {
          asked[index] = (asked[index] ?? 0) + 1;
          return answerAs(one, String(index));
        });
        const settled = firstGood(tries, PATIENCE, (index) => ended.push(index)).then((result) => ({ result, ms: Date.now() - begun }));
        await vi.advanceTimersByTimeAsync(10_000);
        const { result, ms } = await settled;
        expect(ms).toBeLessThanOrEqual(PATIENCE.totalMs);
        expect(asked.every((times) => times <= 1)).toBe(true);
        expect(new Set(ended).size).toBe(ended.length);
        // A plain walk that begins no try early: the truth is never later than that.
        let startMs = 0;
        let best = Number.POSITIVE_INFINITY;
        for (const { afterMs, status } of plans) {
          if (startMs >= best || startMs >= PATIENCE.totalMs) break;
          const endMs = afterMs === null ? Number.POSITIVE_INFINITY : startMs + afterMs;
          if (status !== 503) best = Math.min(best, endMs);
          startMs = status === 503 ? Math.min(endMs, startMs + PATIENCE.stepMs) : startMs + PATIENCE.stepMs;
        }
        if (best < PATIENCE.totalMs - 1) expect(result?.response.status).not.toBe(503);
        const canBeGood = plans.some(({ afterMs, status }) => status !== 503 && afterMs !== null && afterMs <= PATIENCE.totalMs);
        if (!canBeGood) expect(result?.response.status ?? 503).toBe(503);
      }),
      { numRuns: 200 },
    );
  });

  test("a failure moves on at once, silence after a step, and a late good answer still counts", async () => {
    const ask = (plans: Record<string, Plan>) => {
      const regions = Object.entries(plans).map(([name, plan]) => regionOf(name, plan));
      const router = createRouter(regions, { clock: () => Date.now(), patience: PATIENCE });
      return outcome(router.fetch(new Request("http://api/v1/services"), { point: null }));
    };
    const good = { afterMs: 40, status: 200 };
    expect(await ask({ eu: { afterMs: 10, status: 503 }, us: good })).toEqual({ region: "us", status: 200, ms: 50 });
    expect(await ask({ eu: { afterMs: null, status: 0 }, us: good })).toEqual({ region: "us", status: 200, ms: 540 });
    expect(await ask({ eu: { afterMs: 700, status: 200 }, us: { afterMs: null, status: 0 } })).toEqual({
      region: "eu",
      status: 200,
      ms: 700,
    });
    const slow = { afterMs: 1_500, status: 503 };
    expect(await ask({ eu: slow, us: slow, ap: slow })).toMatchObject({ region: "eu", status: 503, ms: 1_900 });
    expect(await ask({ eu: { afterMs: 5, status: 503 }, us: { afterMs: 5, status: 503 } })).toEqual({ region: "eu", status: 503, ms: 10 });
    expect(await ask({ eu: { afterMs: 10, status: 404 }, us: good })).toMatchObject({ region: "eu", status: 404 });
  });

  test("at most three regions are asked", async () => {
    const regions = ["a", "b", "c", "d"].map((name) => regionOf(name, { afterMs: 1, status: 503 }));
    const router = createRouter(regions, { clock: () => Date.now(), patience: PATIENCE });
    await outcome(router.fetch(new Request("http://api/"), { point: null }));
    expect(regions.map(({ asked }) => asked)).toEqual([1, 1, 1, 0]);
  });

  test("a region that failed is asked last for five seconds", async () => {
    const [eu, us] = [regionOf("eu", { afterMs: null, status: 0 }), regionOf("us", { afterMs: 10, status: 200 })];
    const bad = { ...eu, fetch: () => answerAs({ afterMs: 1_500, status: 503 }, "eu") };
    const router = createRouter([bad, us], { clock: () => Date.now(), patience: PATIENCE });
    const ask = () => outcome(router.fetch(new Request("http://api/"), { point: null }));
    const first = ask();
    await vi.advanceTimersByTimeAsync(2_000);
    const second = router.fetch(new Request("http://api/"), { point: null });
    const begun = Date.now();
    const ended = Promise.resolve(second).then(() => Date.now() - begun);
    await vi.advanceTimersByTimeAsync(100);
    expect(await ended).toBe(10);
    await first;
    expect((await ask()).ms).toBe(510);
  });
});

describe("what is asked once only", () => {
  test("a write goes to the nearest region and nowhere else, whatever becomes of it", async () => {
    for (const method of ["POST", "PUT", "PATCH", "DELETE"]) {
      for (const plan of [
        { afterMs: 5, status: 503 },
        { afterMs: 6_000, status: 200 },
      ]) {
        const [eu, us] = [regionOf("eu", plan), regionOf("us", { afterMs: 1, status: 200 })];
        const router = createRouter([eu, us], { clock: () => Date.now(), patience: PATIENCE });
        const found = await outcome(router.fetch(new Request("http://api/v1/plans", { method }), { point: null }));
        expect([found.region, found.status, eu.asked, us.asked]).toEqual(["eu", plan.status, 1, 0]);
      }
    }
  });

  test("a pinned region, and the state of one, are nobody else's to tell", async () => {
    const failing = { afterMs: 5, status: 503 };
    const regions = [regionOf("eu", failing), regionOf("us", failing)];
    const router = createRouter(regions, { clock: () => Date.now(), patience: PATIENCE });
    const pinned = new Request("http://api/v1/plans", { headers: { "x-portolan-region": "us" } });
    expect(await outcome(router.fetch(pinned, { point: null }))).toMatchObject({ region: "us", status: 503 });
    for (const path of ["/readyz", "/healthz", "/version"]) {
      expect(await outcome(router.fetch(new Request(`http://api${path}`), { point: null }))).toMatchObject({ region: "eu", status: 503 });
    }
    expect(regions.map(({ asked }) => asked)).toEqual([3, 1]);
  });
});
