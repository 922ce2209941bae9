import fc from "fast-check";
import { afterAll, beforeAll, expect, test } from "vitest";
import { createApp } from "../../src/api/app.ts";
import { setCallerAddress } from "../../src/api/caller.ts";
import { startTestApi, type TestApi } from "./harness.ts";

let api: TestApi;
let app: ReturnType<typeof createApp>;

beforeAll(async () => {
  api = await startTestApi();
  api.ledger.legacyJob = async (number) =>
    number === 1
      ? {
          number,
          cidr: "192.0.2.0/24",
          ports: "1",
          protocol: "tcp",
          requestedBy: "",
          state: "open",
          createdAtMs: 0,
          expiresAtMs: null,
          receivedAtMs: null,
        }
      : null;
  const { registry, clock } = api.store;
  let { nowMs } = clock;
  const state = await registry.state();
  app = createApp({
    registry: { ...registry, state: async () => state },
    ledger: api.ledger,
    // One second for each request: no limit of requests is in the way.
    clock: () => (nowMs += 1_000),
    version: "0",
    region: "eu",
    legacyFromScanners: true,
    onBug: (error) => void api.bugs.push(error),
  });
});

afterAll(async () => {
  await api?.close();
});

test("20,000 fuzzed bodies and ids: no crash, no 5xx, and nothing but the answers of the table", async () => {
  const record = fc.record({
    ip: fc.oneof(fc.ipV4(), fc.ipV6(), fc.string()),
    ports: fc.array(
      fc.record({
        port: fc.oneof(fc.integer(), fc.string()),
        proto: fc.constantFrom("tcp", "udp", "x"),
        status: fc.constantFrom("open", "closed", ""),
      }),
    ),
  });
  const body = fc.oneof(
    fc.array(record, { maxLength: 3 }).map((records) => JSON.stringify(records)),
    fc.array(record, { maxLength: 3 }).chain((records) => fc.nat(300).map((end) => JSON.stringify(records).slice(0, end))),
    fc.json(),
    fc.string({ unit: "binary" }),
    fc.constantFrom("", "[", "]", "null", "{finished: 1}", "[[[[", '[{"ip":', "\u0000"),
  );
  const path = fc.constantFrom("/results", "/results", "/results/1", "/results/2", "/results/x", "/results/%00", "/results/1e9");
  const type = fc.constantFrom("application/json", "application/json", "application/json; charset=utf-8", "text/plain", "");
  const seen = new Map<number, number>();
  await fc.assert(
    fc.asyncProperty(body, path, type, async (text, at, contentType) => {
      const method = at === "/results" ? "POST" : "PUT";
      const request = new Request(`http://api${at}`, { method, headers: { "content-type": contentType }, body: text.toWellFormed() });
      setCallerAddress(request, "192.0.2.250");
      const { status } = await app.fetch(request);
      seen.set(status, (seen.get(status) ?? 0) + 1);
      expect([200, 400, 415]).toContain(status);
    }),
    { numRuns: 20_000 },
  );
  expect([...seen.keys()].toSorted((a, b) => a - b)).toEqual([200, 400, 415]);
  expect(api.bugs).toEqual([]);
}, 600_000);
