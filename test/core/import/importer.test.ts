import { readFileSync } from "node:fs";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { formatAddress } from "../../../src/core/address.ts";
import { createImporter, IMPORT_FORMATS, type ImportFormat, sniffFormat } from "../../../src/core/import/importer.ts";
import { IMPORT_CHARS_MAX } from "../../../src/core/import/tally.ts";

const NOW_S = 1_800_000_000;

function fixture(name: string): string {
  return readFileSync(new URL(`../masscan/fixtures/${name}`, import.meta.url), "utf8");
}

/** Reads a text in pieces of one length; sightings as `open tcp 22 192.0.2.1 1700000000`. */
function read(format: ImportFormat, text: string, pieceChars = 7) {
  const found: string[] = [];
  const importer = createImporter({
    format,
    defaultAtS: NOW_S,
    onSighting: ({ address, protocol, port, observedAtS }) =>
      void found.push(`${protocol} ${port} ${formatAddress(address)} ${observedAtS}`),
  });
  for (let at = 0; at < text.length; at += pieceChars) importer.push(text.slice(at, at + pieceChars));
  importer.end();
  return { found, counts: importer.counts() };
}

const ONE =
  '{   "ip": "192.0.2.1",   "timestamp": "1700000000", "ports": [ {"port": 22, "proto": "tcp", "status": "open", "reason": "syn-ack", "ttl": 64} ] }';
const TWO = ONE.replace("192.0.2.1", "192.0.2.2");
const FOUND_ONE = "tcp 22 192.0.2.1 1700000000";
const FOUND_TWO = "tcp 22 192.0.2.2 1700000000";
const BOTH = [FOUND_ONE, FOUND_TWO];

describe("files of masscan 1.3.2", () => {
  test("say the same as -oJ, -oD and -oL, whatever pieces they come in", () => {
    for (const pieceChars of [1, 7, 100_000]) {
      const [json, ndjson, list] = [
        read("json", fixture("results.oj"), pieceChars),
        read("ndjson", fixture("results.ndjson"), pieceChars),
        read("list", fixture("results.ol"), pieceChars),
      ];
      expect(json.found.length).toBeGreaterThan(0);
      const untimed = (found: string[]): string[] => found.map((one) => one.replace(/ \d+$/, "")).toSorted();
      expect(untimed(list.found)).toEqual(untimed(json.found));
      expect([json, ndjson, list].map(({ counts }) => counts.refused)).toEqual([0, 0, 0]);
      expect(ndjson.found.length).toBeGreaterThan(0);
    }
  });

  test.each([
    ["an array", `[\n${ONE}\n,\n${TWO}\n]\n`],
    ["no brackets and the old trailer", `${ONE},\n${TWO},\n{finished: 1}\n`],
    ["brackets and the old trailer", `[\n${ONE},\n${TWO},\n{finished: 1}\n]\n`],
    ["a comma too many", `[\n${ONE},\n${TWO},\n]\n`],
    ["no commas", `${ONE}\n${TWO}\n`],
    ["no line feeds", `[${ONE},${TWO}]`],
    ["an array of another program, indented", JSON.stringify([JSON.parse(ONE), JSON.parse(TWO)], null, 2)],
    ["two files in a row", `[\n${ONE}\n]\n[\n${TWO}\n]\n`],
    ["a byte order mark and Windows line ends", `\uFEFF[\r\n${ONE}\r\n,\r\n${TWO}\r\n]\r\n`],
  ])("-oJ with %s is read whole", (_, text) => {
    const { found, counts } = read("json", text);
    expect([found, counts.refused]).toEqual([BOTH, 0]);
  });

  test("a cut -oJ file is read as far as it goes, and says where it was cut", () => {
    const { found, counts } = read("json", `[\n${ONE}\n,\n${TWO.slice(0, 60)}`);
    expect([found, counts.examples]).toEqual([[FOUND_ONE], [{ line: 4, reason: "the file was cut here" }]]);
    expect(read("json", "").counts.read).toBe(0);
  });

  test("a record that was cut in the middle of a file costs nothing but itself", () => {
    for (const end of [60, 20, 75, ONE.length - 1]) {
      const { found, counts } = read("json", `${ONE.slice(0, end)}\n${TWO}\n`);
      expect([found, counts.refused]).toEqual([[FOUND_TWO], 1]);
    }
  });
});

describe("records", () => {
  test("give every element of ports; banners, closed ports and empty lists are no sightings", () => {
    const ports = [
      { port: 1, proto: "tcp", status: "open" },
      { port: 2, proto: "udp", status: "open" },
      { port: 3, proto: "tcp", status: "closed" },
      { port: 4, proto: "tcp" },
      { port: 5, proto: "tcp", status: "open", service: { name: "ssh", banner: "SSH-2.0-x" } },
      { port: 6, proto: "sctp", status: "open" },
    ];
    const { found, counts } = read(
      "json",
      JSON.stringify([
        { ip: "2001:DB8::1", ports },
        { ip: "192.0.2.1", ports: [] },
      ]),
    );
    expect(found).toEqual([`tcp 1 2001:db8::1 ${NOW_S}`, `udp 2 2001:db8::1 ${NOW_S}`, `sctp 6 2001:db8::1 ${NOW_S}`]);
    expect(counts).toMatchObject({ read: 6, sightings: 3, notOpen: 2, banners: 1, refused: 0 });
  });

  test("that are wrong are counted with line and reason, and lose no others", () => {
    const bad = [
      '{"ip": "192.0.2.300", "ports": [{"port": 1, "proto": "tcp", "status": "open"}]}',
      '{"ip": 7, "ports": []}',
      '{"ip": "192.0.2.1"}',
      '{"ip": "192.0.2.1", "ports": [{"port": 65536, "proto": "tcp", "status": "open"}]}',
      '{"ip": "192.0.2.1", "ports": [{"port": "80", "proto": "tcp", "status": "open"}]}',
      '{"ip": "192.0.2.1", "ports": [{"port": 1, "proto": "icmp", "status": "open"}]}',
      '{"ip": "192.0.2.1", "timestamp": "yesterday", "ports": [{"port": 1, "proto": "tcp", "status": "open"}]}',
      '{"ip": "192.0.2.1", "ports": [7]}',
      "{nonsense}",
      "nonsense",
    ];
    const { found, counts } = read("json", `[\n${bad.join(",\n")},\n${ONE}]`);
    expect(found).toEqual([FOUND_ONE]);
    expect(counts.examples.map(({ line }) => line)).toEqual(bad.map((_, index) => index + 2));
    expect(counts.reasons).toEqual({
      "no address": 2,
      "no ports": 1,
      "the port is not 0 to 65535": 2,
      "the protocol is none of tcp, udp, sctp": 1,
      "the time is not Unix seconds": 1,
      "a port is no object": 1,
      "no JSON": 1,
      "no JSON object": 1,
    });
  });

  test("longer than 128 KiB are refused without being held", () => {
    const long = "x".repeat(IMPORT_CHARS_MAX);
    for (const [format, text] of [
      ["json", `{"ip":"${long}"}\n${ONE}`],
      ["list", `${long}x\nopen tcp 22 192.0.2.1 1700000000\n`],
      ["lines", `${long}x\n192.0.2.1:22`],
    ] as const) {
      const { found, counts } = read(format, text, 4_096);
      expect([found.length, counts.refused, counts.examples[0]?.reason]).toEqual([1, 1, `longer than ${IMPORT_CHARS_MAX} characters`]);
    }
  });
});

describe("XML", () => {
  const nmap = `<?xml version="1.0" encoding="UTF-8"?>
<!DOCTYPE nmaprun>
<nmaprun scanner="nmap" start="1700000000"><verbose level="0"/>
<host starttime="1700000001" endtime="1700000009"><status state="up" reason="echo-reply"/>
<address addr="192.0.2.1" addrtype="ipv4"/><address addr="00:00:5E:00:53:01" addrtype="mac"/>
<ports><extraports state="filtered" count="997"/>
<port protocol="tcp" portid="22"><state state="open" reason="syn-ack"/><service name="ssh"/><script id="x" output="&lt;port&gt;"/></port>
<port protocol="udp" portid="53"><state state="open|filtered" reason="no-response"/></port>
<port protocol="tcp" portid="80"><state state="closed" reason="reset"/></port></ports></host>
<host endtime="1700000020"><address addr="2001:db8::5" addrtype="ipv6"/><ports><port protocol="tcp" portid="443"><state state="open"/></port></ports></host>
<runstats><finished time="1700000030"/></runstats></nmaprun>`;
  const masscan = `<?xml version="1.0"?>
<!-- masscan v1.0 scan -->
<nmaprun scanner="masscan" start="1700000000" version="1.0-BETA"  xmloutputversion="1.03">
<scaninfo type="syn" protocol="tcp" />
<host endtime="1700000000"><address addr="192.0.2.1" addrtype="ipv4"/><ports><port protocol="tcp" portid="22"><state state="open" reason="syn-ack" reason_ttl="64"/></port></ports></host>
<host endtime="1700000000"><address addr="192.0.2.1" addrtype="ipv4"/><ports><port protocol="tcp" portid="22"><service name="ssh" banner="SSH-2.0-x"></service></port></ports></host>
<runstats><finished time="1700000040" timestr="x" elapsed="10" /><hosts up="1" down="0" total="1" /></runstats>
</nmaprun>`;

  test("of nmap and of masscan gives open ports only", () => {
    const { found, counts } = read("xml", nmap);
    expect(found).toEqual(["tcp 22 192.0.2.1 1700000009", "tcp 443 2001:db8::5 1700000020"]);
    expect(counts).toMatchObject({ notOpen: 2, refused: 0 });
    expect(read("xml", masscan)).toMatchObject({ found: [FOUND_ONE], counts: { banners: 1, refused: 0 } });
    expect(read("xml", "").counts.read).toBe(0);
  });

  test("that was cut gives what stands before the cut", () => {
    const { found, counts } = read("xml", nmap.slice(0, nmap.indexOf("</ports></host>")));
    expect([found, counts.refused]).toEqual([["tcp 22 192.0.2.1 1700000009"], 1]);
  });

  test("with entities of its own is not expanded, and a tag without end is not held", () => {
    const bomb = `<!DOCTYPE a [<!ENTITY b "${"c".repeat(1_000)}">]><a><host>&b;</host></a>`;
    expect(read("xml", bomb).counts.refused).toBe(1);
    expect(read("xml", `<a b="${"c".repeat(2_000_000)}`, 65_536).counts.examples[0]?.reason).toContain("a tag is longer");
    expect(read("xml", "<a>".repeat(1_000), 100).counts.refused).toBe(1);
  });
});

test("lines of address:port are read in their spellings", () => {
  const text =
    "192.0.2.1:22\n# a note\n\n[2001:db8::1]:443\n192.0.2.1:53/udp # dns\r\n192.0.2.1 80\n2001:db8::1 8443\n192.0.2.1,81\n2001:db8::1:443\nhello\n192.0.2.1:70000\n";
  const { found, counts } = read("lines", text);
  expect(found).toEqual(
    ["tcp 22 192.0.2.1", "tcp 443 2001:db8::1", "udp 53 192.0.2.1", "tcp 80 192.0.2.1", "tcp 8443 2001:db8::1", "tcp 81 192.0.2.1"].map(
      (one) => `${one} ${NOW_S}`,
    ),
  );
  expect(counts.examples.map(({ line }) => line)).toEqual([9, 10, 11]);
});

test("the format is told from the beginning of a file", () => {
  const beginnings: readonly (readonly [string, ReturnType<typeof sniffFormat>])[] = [
    [fixture("results.oj"), "json"],
    [fixture("results.ndjson"), "ndjson"],
    [fixture("results.ol"), "list"],
    [`${ONE},\n`, "json"],
    ["[]", "json"],
    ["open tcp 22 192.0.2.1 1", "list"],
    ["<?xml", "xml"],
    ["\n<nmaprun>", "xml"],
    ["masscan/1.1\0\0", "binary"],
    ["192.0.2.1:22", "lines"],
    ["[2001:db8::1]:22", "lines"],
    ["", "lines"],
  ];
  expect(beginnings.map(([text]) => sniffFormat(text))).toEqual(beginnings.map(([, format]) => format));
});

describe("60,000 fuzzed files", () => {
  /** Pieces of all formats, whole and broken, in any order. */
  const piece = fc.oneof(
    fc.constantFrom(
      ONE,
      TWO,
      "\n",
      "open tcp 22 192.0.2.1 1700000000\n",
      "192.0.2.1:80\n",
      "[2001:db8::1]:443\n",
      "\u0000",
      "\ud800",
      "\uFEFF",
    ),
    fc.constantFrom(...'[|]|,|{|}|"|\\|{finished: 1}|#masscan|1e999|{"ip":"192.0.2.1","ports":[|{"rec_type":"banner"}'.split("|")),
    fc.constantFrom(
      ...'<host>|<ports>|<port protocol="tcp" portid="1">|<state|/>|</host>|<!--|<![CDATA[|&lt;|<?xml|<!DOCTYPE x ['.split("|"),
    ),
    fc.json({ maxDepth: 3 }),
    fc.string({ maxLength: 20 }),
    fc.string({ maxLength: 20, unit: "binary" }),
    fc.tuple(fc.constantFrom(ONE, TWO), fc.nat(150)).map(([text, end]) => text.slice(0, end)),
  );
  const file = fc.array(piece, { maxLength: 12 }).map((pieces) => pieces.join(""));

  test.each(IMPORT_FORMATS)("neither crash nor hang the %s parser, and pieces do not matter", (format) => {
    fc.assert(
      fc.property(file, fc.integer({ min: 1, max: 40 }), (text, pieceChars) => {
        const { found, counts } = read(format, text, pieceChars);
        expect(counts.sightings).toBe(found.length);
        if (text.length % 8 !== 0 || !text.isWellFormed()) return;
        const whole = read(format, text, text.length + 1);
        expect([whole.found, whole.counts.refused]).toEqual([found, counts.refused]);
      }),
      { numRuns: 12_000 },
    );
  });
});
