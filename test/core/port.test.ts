import * as fc from "fast-check";
import { expect, test } from "vitest";
import { PortolanError } from "../../src/core/errors.ts";
import {
  containsPort,
  countPorts,
  formatPorts,
  intersectPorts,
  normalisePorts,
  parsePorts,
  protocolNumber,
  protocolOf,
  subtractPorts,
} from "../../src/core/port.ts";
import { common, portRanges, portSet, without } from "./builders.ts";

const portLists = fc.array(portRanges, { maxLength: 10 });

test("canonical port text is a fixed point", () => {
  fc.assert(
    fc.property(fc.array(portRanges, { minLength: 1, maxLength: 10 }), (ports) => {
      expect(parsePorts(formatPorts(ports))).toEqual(normalisePorts(ports));
    }),
  );
});

test("port algebra equals sets of single ports", () => {
  fc.assert(
    fc.property(portLists, portLists, fc.nat(14), (a, b, port) => {
      const [left, right] = [portSet(a), portSet(b)];
      expect(portSet(normalisePorts(a))).toEqual(left);
      expect(portSet(subtractPorts(a, b))).toEqual(without(left, right));
      expect(portSet(intersectPorts(a, b))).toEqual(common(left, right));
      expect(normalisePorts(subtractPorts(a, b))).toEqual(subtractPorts(a, b));
      expect(countPorts(a)).toBe(left.size);
      expect(containsPort(a, "udp", port)).toBe(left.has(`udp/${port}`));
    }),
  );
});

test("nmap's and masscan's spellings are read", () => {
  const cases = [
    ["80,443,1000-2000,U:53,S:9900", "80,443,1000-2000,U:53,S:9900"],
    ["443,80", "80,443"],
    ["1-100,50-200,201", "1-201"],
    ["T:80,80", "80"],
    ["-", "1-65535"],
    ["U:-", "U:1-65535"],
    ["0-65535", "0-65535"],
    ["0", "0"],
    ["1024-", "1024-65535"],
    ["-1024", "1-1024"],
    [" 80 , 443 ", "80,443"],
    ["u:53,t:80,s:1", "80,U:53,S:1"],
    ["00080", "80"],
  ];
  for (const [spec, canonical] of cases) expect(formatPorts(parsePorts(spec ?? "")), spec).toBe(canonical);
});

test("U: belongs to its own entry only", () => {
  expect(formatPorts(parsePorts("U:53,8000-8100,U:54"))).toBe("8000-8100,U:53-54");
});

test("wrong port lists are refused, naming the entry", () => {
  expect(() => parsePorts("80,70000")).toThrow(/"70000" goes above 65535/);
  expect(() => parsePorts("80,2000-1000")).toThrow(/"2000-1000" ends before it begins/);
  expect(() => parsePorts("80,,443")).toThrow(/entry 2 of the port list is empty/);
  expect(() => parsePorts("80,")).toThrow(/entry 2 of the port list is empty/);
  expect(() => parsePorts("")).toThrow(/port list is empty/);
  expect(() => parsePorts("http")).toThrow(/"http" is not a port/);
  expect(() => parsePorts(`80,${"1".repeat(70_000)}`)).toThrow(/too long/);
  for (const spec of ["X:1", "U:", "U:U:1", "1-2-3", "0x50", "1.5", "+1", "80 --banners", "80;443", "-0", "99999-", "80\n81", "٣"]) {
    expect(() => parsePorts(spec), spec).toThrow(PortolanError);
  }
});

test("any text is a port list or a PortolanError", () => {
  const texts = fc.array(fc.constantFrom("1", "80", "-", ",", "U:", "T:", "S:", "65535", "65536", " ", "0"), { maxLength: 10 });
  fc.assert(
    fc.property(
      fc.oneof(
        fc.string(),
        texts.map((list) => list.join("")),
      ),
      (text) => {
        try {
          const ports = parsePorts(text);
          expect(parsePorts(formatPorts(ports))).toEqual(ports);
        } catch (error) {
          expect(error).toBeInstanceOf(PortolanError);
        }
      },
    ),
    { numRuns: 1_000 },
  );
});

test("protocols have their IANA numbers", () => {
  for (const protocol of ["tcp", "udp", "sctp"] as const) expect(protocolOf(protocolNumber(protocol))).toBe(protocol);
  expect(() => protocolOf(1)).toThrow(PortolanError);
});
