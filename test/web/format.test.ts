import fc from "fast-check";
import { expect, test } from "vitest";
import { formatCount, formatDuration, formatPercent, formatRate, formatUtc, formatWhen, plural } from "../../src/web/format.ts";
import { serviceName } from "../../src/core/service-names.ts";

test("a number keeps its value when its digits are grouped", () => {
  fc.assert(
    fc.property(fc.nat(), (count) => {
      expect(Number(formatCount(count).replaceAll("\u202f", ""))).toBe(count);
    }),
  );
  expect(formatCount(1_234_567)).toBe("1\u202f234\u202f567");
  expect([plural(1, "port"), plural(0, "port"), plural(2, "address", "addresses")]).toEqual(["1 port", "0 ports", "2 addresses"]);
});

test("nothing that is not finished is shown as 100 %", () => {
  fc.assert(
    fc.property(fc.double({ min: 0, max: 100, maxExcluded: true, noNaN: true }), (percent) => {
      expect(formatPercent(percent)).not.toBe("100 %");
    }),
  );
  expect([formatPercent(0), formatPercent(99.99), formatPercent(100)]).toEqual(["0 %", "99 %", "100 %"]);
});

test("durations and rates use the two largest units, or one", () => {
  expect([0, 0.4, 45, 60, 200, 7_500, 90_061].map(formatDuration)).toEqual([
    "0 s",
    "0 s",
    "45 s",
    "1 min",
    "3 min 20 s",
    "2 h 5 min",
    "1 d 1 h",
  ]);
  expect([0, 850, 9_900, 10_000, 2_500_000].map(formatRate)).toEqual(["0 pps", "850 pps", "9\u202f900 pps", "10.0 kpps", "2.5 Mpps"]);
});

test("moments are told by age on the same day, by date before", () => {
  const nowMs = Date.UTC(2026, 10, 20, 13, 5, 12);
  const at = (agoS: number): string => formatWhen(nowMs - agoS * 1_000, nowMs);
  expect([at(0), at(-5), at(59), at(61), at(7_200), at(86_400), at(-86_400)]).toEqual([
    "just now",
    "just now",
    "just now",
    "1 min ago",
    "2 h ago",
    "2026-11-19",
    "2026-11-21",
  ]);
  expect(formatUtc(nowMs)).toBe("2026-11-20 13:05:12 UTC");
});

test("a port has the name that is registered for its own protocol, or none", () => {
  expect([serviceName("tcp", 443), serviceName("udp", 123), serviceName("tcp", 123), serviceName("sctp", 3_868)]).toEqual([
    "https",
    "ntp",
    null,
    "diameter",
  ]);
});
