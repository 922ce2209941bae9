import fc from "fast-check";
import { readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { formatAddress } from "../../../src/core/address.ts";
import { parseEcho } from "../../../src/core/masscan/echo.ts";
import { LINE_LENGTH_MAX, parseMasscanJson, parseMasscanLine, parseMasscanList } from "../../../src/core/masscan/lines.ts";
import { parseNotice, parseProgress } from "../../../src/core/masscan/progress.ts";
import { sha256Hex } from "../../../src/bus/keys.node.ts";

function fixture(name: string): string {
  return readFileSync(new URL(`./fixtures/${name}`, import.meta.url), "utf8");
}

/** masscan shortens the first zeros, however few, and no others. */
function printedByMasscan(groups: readonly number[]): string {
  const first = groups.indexOf(0);
  if (first < 0) return groups.map((one) => one.toString(16)).join(":");
  const after = groups.findIndex((one, i) => i > first && one !== 0);
  const [head, tail] = [groups.slice(0, first), after < 0 ? [] : groups.slice(after)];
  return [head, tail].map((part) => part.map((one) => one.toString(16)).join(":")).join("::");
}

const ndjson = fixture("results.ndjson");

describe("NDJSON lines", () => {
  test("an open port is a sighting, a closed port and a banner are not, and none is refused", () => {
    const kinds = ndjson.split("\n").map((line) => parseMasscanLine(line).kind);
    expect(kinds).toEqual([...Array<string>(7).fill("sighting"), "closed", "banner", "blank"]);
    const ipv6 = parseMasscanLine(ndjson.split("\n")[6] ?? "");
    expect(ipv6.kind === "sighting" && formatAddress(ipv6.sighting.address)).toBe("2001:db8:18::7");
  });

  test("no truncation throws, and whole records before the cut stay the same", () => {
    const whole = ndjson.split("\n").map(parseMasscanLine);
    for (let length = 0; length <= ndjson.length; length += 1) {
      const lines = ndjson.slice(0, length).split("\n");
      const kept = lines.slice(0, -1).map(parseMasscanLine);
      expect(kept).toEqual(whole.slice(0, kept.length));
      // What is cut within a line is either refused or, at the very end of it, the same record.
      const last = parseMasscanLine(lines.at(-1) ?? "");
      if (last.kind !== "refused" && last.kind !== "blank") expect(last).toEqual(whole[kept.length]);
    }
  });

  test("one changed field refuses the line", () => {
    const good = { ip: "192.0.2.1", timestamp: "1795180784", port: 80, proto: "tcp", rec_type: "status", data: { status: "open" } };
    expect(parseMasscanLine(JSON.stringify(good)).kind).toBe("sighting");
    const bad = [
      { ip: "192.0.2.300" },
      { ip: 3 },
      { timestamp: 1_795_180_784 },
      { timestamp: "9999999999" },
      { port: 65_536 },
      { port: -1 },
      { port: 1.5 },
      { port: "80" },
      { proto: "icmp" },
      { rec_type: "other" },
      { data: null },
      { data: { status: "maybe" } },
    ];
    for (const change of bad) expect(parseMasscanLine(JSON.stringify({ ...good, ...change })).kind).toBe("refused");
    for (const text of ["[", "null", "[]", "3", "{", `{"a":"${"x".repeat(LINE_LENGTH_MAX)}"}`])
      expect(parseMasscanLine(text).kind).toBe("refused");
  });

  test("IPv6 addresses are read as masscan prints them, also when it leaves out the last colon of one that ends in zeros", () => {
    const line = (ip: string): string =>
      JSON.stringify({ ip, timestamp: "1795180784", port: 22, proto: "tcp", rec_type: "status", data: { status: "open" } });
    const group = fc.oneof(fc.constant(0), fc.integer({ min: 0, max: 0xffff }));
    fc.assert(
      fc.property(fc.array(group, { minLength: 8, maxLength: 8 }), fc.nat({ max: 8 }), (drawn, zeros) => {
        const groups = drawn.fill(0, 8 - zeros);
        const text = printedByMasscan(groups);
        const address = groups.reduce((sum, one) => (sum << 16n) | BigInt(one), 0n);
        const sighting = { kind: "sighting", sighting: { address, protocol: "tcp", port: 22, observedAtS: 1_795_180_784 } };
        expect(parseMasscanLine(line(text))).toEqual(sighting);
        if (text.endsWith("::")) expect(parseMasscanLine(line(text.slice(0, -1)))).toEqual(sighting);
      }),
    );
    for (const ip of ["", "2001:db8", "2001:db8::1:", "2001:db8:::", "198.18.0.1:", "1:2:3:4:5:6:7:8:"])
      expect(parseMasscanLine(line(ip)).kind).toBe("refused");
  });

  test("no text and no JSON value throws", () => {
    fc.assert(
      fc.property(fc.oneof(fc.string(), fc.json()), (line) => void parseMasscanLine(line)),
      { numRuns: 2_000 },
    );
  });
});

describe("whole files", () => {
  test.each([
    ["results.oj", parseMasscanJson],
    ["results.ol", parseMasscanList],
  ] as const)("%s counts as ended only when it is whole or empty, and no truncation throws", (name, parse) => {
    const text = fixture(name);
    const { lines, ended } = parse(text);
    expect(ended).toBe(true);
    expect(lines.filter(({ kind }) => kind === "sighting")).toHaveLength(8);
    expect(lines.filter(({ kind }) => kind === "refused")).toHaveLength(0);
    for (let length = 0; length < text.length; length += 1) {
      const cut = parse(text.slice(0, length));
      expect(cut.ended && length > 0 && text.slice(length).trim() !== "").toBe(false);
      expect(cut.lines.filter(({ kind }) => kind === "sighting").length).toBeLessThanOrEqual(8);
    }
  });

  test("0 bytes are an empty result, not a broken one", () => {
    expect(parseMasscanJson("")).toEqual({ lines: [], ended: true });
    expect(parseMasscanList("")).toEqual({ lines: [], ended: true });
  });
});

describe("status lines", () => {
  test("both formats are read", () => {
    expect(parseProgress("rate:  1.99-kpps, 30.47% done,   0:00:13 remaining, found=7       ")).toEqual({
      percent: 30.47,
      ratePps: 1_990,
      remainingS: 13,
      waitingS: null,
      found: 7,
    });
    expect(parseProgress("rate:  0.00-kpps, 100.00% done, waiting -26-secs, found=24       ")).toEqual({
      percent: 100,
      ratePps: 0,
      remainingS: null,
      waitingS: -26,
      found: 24,
    });
  });

  test("a complete run shows 100 % and a wait, an interrupted one shows a saved resume file and less", () => {
    const complete = fixture("complete.stderr")
      .split(/[\r\n]/)
      .map(parseNotice);
    const interrupted = fixture("interrupted.stderr")
      .split(/[\r\n]/)
      .map(parseNotice);
    const reached = (notices: typeof complete): boolean =>
      notices.some((notice) => notice.kind === "progress" && notice.progress.percent >= 100 && notice.progress.waitingS !== null);
    expect(reached(complete)).toBe(true);
    expect(complete.some(({ kind }) => kind === "resume-saved" || kind === "error")).toBe(false);
    expect(reached(interrupted)).toBe(false);
    expect(interrupted.some(({ kind }) => kind === "resume-saved")).toBe(true);
  });

  test("refusals of masscan are told from other lines", () => {
    expect(parseNotice("CONF: bad shard").kind).toBe("error");
    expect(parseNotice("[-] FAIL: permission denied").kind).toBe("error");
    expect(parseNotice("ERROR: threads not exiting 1").kind).toBe("error");
    expect(parseNotice("Initiating SYN Stealth Scan").kind).toBe("other");
  });

  test("no truncation of a status line throws or gives numbers out of range", () => {
    const line = "rate:  1.99-kpps, 30.47% done,   0:00:13 remaining, found=7       ";
    for (let length = 0; length <= line.length; length += 1) {
      const progress = parseProgress(line.slice(0, length));
      if (progress !== null) expect(progress.percent).toBe(30.47);
    }
    fc.assert(fc.property(fc.string(), (text) => void parseNotice(text)));
  });
});

describe("echo", () => {
  const echo = fixture("echo.conf");
  const options = { version: "1.3.2", sha256: sha256Hex };

  test("the effective values are read", () => {
    const read = parseEcho(echo, options);
    expect(read.kind === "effective" && { ...read.effective, rangesSha256: "" }).toEqual({
      seed: "18446744073709551615",
      rateLimitPps: 5_000,
      shard: 2,
      shardCount: 3,
      retries: 2,
      ports: "22,80-90,U:53",
      rangesSha256: "",
      version: "1.3.2",
    });
    const ranges = ["198.18.0.1", "198.18.0.7-198.18.0.9", "2001:db8:18::1-2001:db8:18::9", "2001:db8:18::20"];
    expect(read.kind === "effective" && read.effective.rangesSha256).toBe(sha256Hex(ranges.join("\n")));
  });

  test("a range that ends in zeros is read whether or not masscan left out a last colon", () => {
    const effective = (range: string): unknown => parseEcho(`${echo}\nrange = ${range}\n`, options);
    expect(effective("2001:db8:19::")).toMatchObject({ kind: "effective" });
    expect(effective("2001:db8:19:")).toEqual(effective("2001:db8:19::"));
    expect(effective("2001:db8:19:-2001:db8:1a:")).toEqual(effective("2001:db8:19::-2001:db8:1a::"));
  });

  test("a missing value or an exclude of masscan's own is a problem, and no truncation throws", () => {
    for (const name of ["seed", "rate", "shard", "ports"]) {
      const without = echo.split("\n").filter((line) => !line.startsWith(`${name} =`));
      expect(parseEcho(without.join("\n"), options).kind).toBe("problem");
    }
    expect(parseEcho(`${echo}\nexclude = 198.18.0.1\n`, options).kind).toBe("problem");
    for (let length = 0; length <= echo.length; length += 1) parseEcho(echo.slice(0, length), options);
    fc.assert(fc.property(fc.string(), (text) => void parseEcho(text, options)));
  });
});
