import * as fc from "fast-check";
import { expect, test } from "vitest";
import { addressFromHex, addressToHex, formatAddress, isIpv4, parseAddress } from "../../src/core/address.ts";
import { PortolanError } from "../../src/core/errors.ts";
import { addresses } from "./builders.ts";

test("canonical address text is a fixed point", () => {
  fc.assert(
    fc.property(addresses, (address) => {
      expect(parseAddress(formatAddress(address))).toBe(address);
      expect(addressFromHex(addressToHex(address))).toBe(address);
    }),
  );
});

test("any text is an address or a PortolanError, and what it becomes is a fixed point", () => {
  const pieces = fc.array(fc.constantFrom("1", "255", "256", "01", ".", ":", "::", "ffff", "F", "%eth0", "/", " ", "0", "g"), {
    maxLength: 12,
  });
  fc.assert(
    fc.property(
      fc.oneof(
        pieces.map((list) => list.join("")),
        fc.string(),
        fc.ipV4(),
        fc.ipV6(),
      ),
      (text) => {
        let address: bigint;
        try {
          address = parseAddress(text);
        } catch (error) {
          expect(error).toBeInstanceOf(PortolanError);
          return;
        }
        expect(parseAddress(formatAddress(address))).toBe(address);
      },
    ),
    { numRuns: 1_000 },
  );
});

test("every IPv4 and IPv6 text is read as the address it means", () => {
  fc.assert(
    fc.property(fc.ipV4(), (text) => {
      expect(formatAddress(parseAddress(text))).toBe(text);
      expect(isIpv4(parseAddress(text))).toBe(true);
    }),
  );
  fc.assert(
    fc.property(fc.array(fc.integer({ min: 0, max: 0xffff }), { minLength: 8, maxLength: 8 }), (groups) => {
      const value = groups.reduce((sum, group) => (sum << 16n) | BigInt(group), 0n);
      expect(parseAddress(groups.map((group) => group.toString(16)).join(":"))).toBe(value);
      expect(parseAddress(groups.map((group) => group.toString(16).toUpperCase().padStart(4, "0")).join(":"))).toBe(value);
    }),
  );
});

test("IPv6 is written as RFC 5952 asks", () => {
  const cases = [
    ["2001:DB8:0:0:0:0:0:1", "2001:db8::1"],
    ["2001:db8:0:1:1:1:1:1", "2001:db8:0:1:1:1:1:1"],
    ["2001:0:0:1:0:0:0:1", "2001:0:0:1::1"],
    ["2001:db8:0:0:1:0:0:1", "2001:db8::1:0:0:1"],
    ["0:0:0:0:0:0:0:0", "::"],
    ["::1.2.3.4", "::102:304"],
    ["64:ff9b::192.0.2.1", "64:ff9b::c000:201"],
  ];
  for (const [text, canonical] of cases) expect(formatAddress(parseAddress(text ?? ""))).toBe(canonical);
});

test("IPv4 inside IPv6 is the IPv4 address", () => {
  expect(formatAddress(parseAddress("::ffff:192.0.2.1"))).toBe("192.0.2.1");
  expect(formatAddress(parseAddress("::FFFF:c000:201"))).toBe("192.0.2.1");
  expect(parseAddress("0:0:0:0:0:ffff:192.0.2.1")).toBe(parseAddress("192.0.2.1"));
});

test("ambiguous and foreign spellings are refused", () => {
  const bad = [
    "",
    "1",
    "1.2.3",
    "1.2.3.4.5",
    "256.1.1.1",
    "010.0.0.1",
    "0x7f.1.1.1",
    "2130706433",
    " 1.2.3.4",
    "1.2.3.4 ",
    "1.2.3.4\n",
    "1.2.3.4/32",
  ];
  const bad6 = [
    ":",
    ":::",
    "1::2::3",
    "1:2:3:4:5:6:7",
    "1:2:3:4:5:6:7:8:9",
    "12345::",
    "fe80::1%eth0",
    "fe80::1%1",
    "::1.2.3.04",
    "::1.2.3.256",
    "[::1]",
    "1.2.3.4::",
  ];
  for (const text of [...bad, ...bad6]) expect(() => parseAddress(text), text).toThrow(PortolanError);
  expect(() => parseAddress("fe80::1%eth0")).toThrow(/zone id.*without "%"/);
  expect(() => addressFromHex("00")).toThrow(PortolanError);
});

test("hex keys sort like the addresses", () => {
  fc.assert(
    fc.property(addresses, addresses, (a, b) => {
      expect(addressToHex(a) < addressToHex(b)).toBe(a < b);
    }),
  );
});
