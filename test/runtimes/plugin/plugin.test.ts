import { exports } from "cloudflare:workers";
import { describe, expect, inject, test, vi } from "vitest";
import { requestSuite } from "../suite.ts";

describe("inside workerd, under the plugin", () => {
  requestSuite({ name: "plugin", servesStatic: false }, async () => ({
    known: inject("known"),
    fetch: (path, init) => exports.default.fetch(new Request(`http://portolan.test${path}`, { ...init, redirect: "manual" })),
  }));
});

test("the scheduled handler tells of each region", async () => {
  const log = vi.spyOn(console, "log").mockImplementation(() => undefined);
  await exports.default.scheduled({ cron: "*/5 * * * *", scheduledTime: new Date() });
  const lines = log.mock.calls.map(([line]) => JSON.parse(String(line)) as { event: string; region: string; ready: boolean });
  log.mockRestore();
  expect(lines.map(({ event, region, ready }) => `${event} ${region} ${ready}`).toSorted()).toEqual([
    "region-check eu true",
    "region-check us true",
  ]);
});
