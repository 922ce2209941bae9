import fc from "fast-check";
import { afterAll, expect, test } from "vitest";
import { checkCertificate } from "../../src/core/certificate/check.ts";
import { whyOf } from "../../src/ledger/why.ts";
import { sha256 } from "./builders.ts";
import { bound, chained, ledgerWith } from "./delivered.ts";
import { deliveryOf, historyOf, randomOf } from "./history.ts";
import { openMemoryDatabase } from "./memory-database.ts";

const HISTORIES = Number(process.env["PORTOLAN_HISTORIES"] ?? 300);
const memory = openMemoryDatabase();
const tools = { sha256, verify: () => true };

afterAll(() => memory.close());

test("I6 every service has a certificate that the independent checker accepts, with the verdict of the register", async () => {
  const checked = { open: 0, missing: 0, closed: 0 };
  await fc.assert(
    fc.asyncProperty(fc.integer({ min: 0, max: 2 ** 31 }), fc.integer({ min: 5, max: 40 }), async (seed, steps) => {
      const random = randomOf(seed);
      memory.clear();
      const { ledger } = await ledgerWith(memory, deliveryOf(random, chained(bound(historyOf(random, steps))), "shuffled"));
      for (const service of (await ledger.listServices({ state: "all" })).items) {
        const certificate = await whyOf(memory, service);
        const result = checkCertificate(JSON.parse(JSON.stringify(certificate)), tools);
        expect(result).toEqual({ ok: true, verdict: service.state });
        checked[service.state]++;
      }
    }),
    { numRuns: HISTORIES, endOnFailure: true },
  );
  expect(checked.closed).toBeGreaterThan(HISTORIES / 20);
  expect(checked.missing).toBeGreaterThan(HISTORIES / 20);
}, 600_000);

test("a service that nobody saw has none", async () => {
  memory.clear();
  expect(await whyOf(memory, { address: "192.0.2.99", protocol: "tcp", port: 80 })).toBeNull();
});
