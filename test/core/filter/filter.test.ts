import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { PortolanError } from "../../../src/core/errors.ts";
import { FILTER_KEYS, formatFilter, parseFilter, withDefaults } from "../../../src/core/filter/filter.ts";

const read = (text: string): string => formatFilter(parseFilter(text));
const problem = (text: string): string => {
  try {
    return `read as ${read(text)}`;
  } catch (error) {
    return error instanceof PortolanError && error.code === "invalid" ? error.message : `threw ${String(error)}`;
  }
};

describe("a filter", () => {
  test.each([
    ["", ""],
    ["192.0.2.7", "ip:192.0.2.7"],
    ["192.0.2.0/24", "net:192.0.2.0/24"],
    ["2001:db8::/32", "net:2001:db8::/32"],
    ["fe80::1", "ip:fe80::1"],
    ["22", "port:22"],
    ["22,80-90", "port:22,80-90"],
    ["tcp/443", "port:tcp/443"],
    ["-22 !192.0.2.7", "-ip:192.0.2.7 -port:22"],
    ["ip:192.0.2.8,192.0.2.9", "net:192.0.2.8/31"],
    ["PORT:22", "port:22"],
    ["state:MISSING,open", "state:open,missing"],
    ["seen:<24h first:>7d", "seen:<1d first:>1w"],
    ["seen:<90s", "seen:<90s"],
    ["group:CF-Anycast -group:CF-Exclude", "-group:CF-Exclude group:CF-Anycast"],
    ["vantage:disagree known:only", "known:only vantage:disagree"],
    ["port:80,22,22 port:22,80", "port:22,80"],
    ["label:stale change:reopened region:eu scanner:de01 proto:udp", "proto:udp region:eu scanner:de01 label:stale change:reopened"],
  ])("%j reads as %j", (text, canonical) => expect(read(text)).toBe(canonical));

  test.each([
    ["prot:22", 'the filter has no key "prot"; did you mean proto:udp?'],
    ["zzzzzzzz:1", `the filter has no key "zzzzzzzz"; known keys are ${FILTER_KEYS.join(", ")}`],
    ["ssh", /"ssh" in the filter is neither an address/],
    ["port:", /"port:" in the filter has an empty value; write for instance port:22,80-90/],
    ["port:70000", /goes above 65535/],
    ["port:90-80", /ends before it begins/],
    ["port:ssh", /"ssh" in the filter is no port/],
    ["state:gone", '"gone" in the filter is none of open, missing, closed'],
    ["net:192.0.2.1/24", /192\.0\.2\.0\/24/],
    ["ip:192.0.2.0/24", /192\.0\.2\.0\/24/],
    ["192.0.2.300", /192\.0\.2\.300/],
    ["seen:24h", /is no age/],
    ["first:>999999999w", /more than ten years/],
    ["-known:hide", /cannot be negated/],
    ["known:hide known:show", /more than once/],
    ["region:EU!", /cannot be a name/],
  ])("%j is refused with a remedy", (text, message) => expect(problem(text)).toMatch(message));

  test("is bounded in length and in the number of its terms", () => {
    expect(problem("x".repeat(4_001))).toMatch(/4001 characters/);
    expect(problem(Array.from({ length: 65 }, (_, i) => `port:${i}`).join(" "))).toMatch(/65 terms/);
  });

  test("says its defaults, and only where it is silent itself", () => {
    expect(formatFilter(withDefaults(parseFilter("22")))).toBe("port:22 state:open,missing known:hide");
    expect(formatFilter(withDefaults(parseFilter("state:closed known:show")))).toBe("state:closed known:show");
    expect(formatFilter(withDefaults(parseFilter("-state:open")))).toBe("-state:open known:hide");
  });
});

const value = fc.oneof(
  fc.constantFrom(
    "22",
    "80-90",
    "tcp/443",
    "192.0.2.7",
    "192.0.2.0/24",
    "2001:db8::1",
    "open",
    "missing",
    "stale",
    "hide",
    "<24h",
    ">7d",
    "edge",
    "eu",
    "disagree",
    "udp",
    "reopened",
    "",
  ),
  fc.string({ maxLength: 12 }),
);
const word = fc.oneof(
  fc
    .tuple(fc.constantFrom("", "-", "!"), fc.constantFrom(...FILTER_KEYS), fc.array(value, { minLength: 1, maxLength: 3 }))
    .map(([sign, key, values]) => `${sign}${key}:${values.join()}`),
  value,
  fc.string({ maxLength: 30 }),
);

test("any text is a filter or a clear problem, and a filter's own text means the same filter", () => {
  fc.assert(
    fc.property(fc.array(word, { maxLength: 6 }), (words) => {
      const text = words.join(" ");
      let filter: ReturnType<typeof parseFilter>;
      try {
        filter = parseFilter(text);
      } catch (error) {
        expect(error).toBeInstanceOf(PortolanError);
        expect(error).toMatchObject({ code: "invalid" });
        return;
      }
      expect(parseFilter(formatFilter(filter))).toEqual(filter);
    }),
    { numRuns: 60_000 },
  );
});
