import * as fc from "fast-check";
import { expect, test } from "vitest";
import { deniedText, firstDenied, isDenied, mergeDenied } from "../../src/core/denied.ts";
import { formatPorts, normalisePorts } from "../../src/core/port.ts";
import { rangesText } from "../../src/core/range.ts";
import { addressSet, nearRanges, portRanges, portSet } from "./builders.ts";

const rules = fc.array(
  fc.record({
    ranges: fc.array(nearRanges, { minLength: 1, maxLength: 3 }),
    ports: fc.option(fc.array(portRanges, { minLength: 1, maxLength: 2 })),
  }),
  { maxLength: 4 },
);
const text = (rule: { ranges: Parameters<typeof rangesText>[0]; ports: Parameters<typeof formatPorts>[0] | null }) => ({
  ranges: rangesText(rule.ranges),
  ports: rule.ports === null ? null : formatPorts(normalisePorts(rule.ports)),
});

test("pairs are denied exactly as the rules say one by one, however these are ordered and merged", () => {
  fc.assert(
    fc.property(
      rules,
      fc.array(nearRanges, { minLength: 1, maxLength: 3 }),
      fc.array(portRanges, { minLength: 1, maxLength: 2 }),
      (given, ranges, ports) => {
        const merged = mergeDenied(given.map(text));
        expect(deniedText(mergeDenied(given.toReversed().map(text)))).toEqual(deniedText(merged));
        const [addresses, wanted] = [[...addressSet(ranges)].slice(0, 20), [...portSet(ports)].slice(0, 8)];
        const model = (address: bigint, port: string): boolean =>
          given.some((rule) => addressSet(rule.ranges).has(address) && (rule.ports === null || portSet(rule.ports).has(port)));
        for (const address of addresses) {
          for (const port of wanted) {
            const [protocol = "tcp", number = "0"] = port.split("/");
            expect(isDenied(merged, { address, protocol: protocol as "tcp", port: Number(number) })).toBe(model(address, port));
          }
        }
        const any = [...addressSet(ranges)].some((address) => [...portSet(ports)].some((port) => model(address, port)));
        expect(firstDenied(merged, { ranges, ports }) !== null).toBe(any);
      },
    ),
    { numRuns: 200 },
  );
});
