import { parse } from "csv-parse/sync";
import fc from "fast-check";
import { SaxesParser } from "saxes";
import { expect, test } from "vitest";
import { type Encoder, encoderOf, type ExportFormat } from "../../src/api/export-formats.ts";
import { LABELS, type LabelledService } from "../../src/api/labels.ts";
import { formatAddress } from "../../src/core/address.ts";
import { parseMasscanJson } from "../../src/core/masscan/lines.ts";

const FACTS = { nowMs: 1_700_000_000_000, filter: "group:\"<&'>", version: "0.0.0" };
const timeMs = fc.integer({ min: 0, max: 4_000_000_000 }).map((seconds) => seconds * 1_000);
/** Region names hold letters in earnest; an export must stand anything. */
const word = fc.oneof(
  fc.constantFrom("eu", "us", "=1+1", "+x", "-x", "@sum", "\tx", "\rx", 'q"uote', "a,b", "line\nbreak", "<&>'\"", "ü"),
  fc
    .string({ minLength: 1, maxLength: 8, unit: "binary" })
    .filter((text) => !text.includes(" ") && text.isWellFormed() && !text.startsWith("'")),
);
const service: fc.Arbitrary<LabelledService> = fc.record({
  address: fc.oneof(
    fc.integer({ min: 0, max: 7 }).map((n) => formatAddress(0xffff_c000_0200n + BigInt(n))),
    fc.bigInt({ min: 1n << 100n, max: (1n << 128n) - 1n }).map(formatAddress),
  ),
  protocol: fc.constantFrom("tcp", "udp", "sctp"),
  port: fc.integer({ min: 0, max: 65_535 }),
  state: fc.constantFrom("open", "missing", "closed"),
  firstSeenMs: timeMs,
  lastSeenMs: timeMs,
  seenBy: fc.array(word, { maxLength: 3 }),
  changedAtMs: timeMs,
  reopened: fc.boolean(),
  known: fc.boolean(),
  tainted: fc.boolean(),
  labels: fc.subarray([...LABELS]),
  coveredAtMs: fc.option(timeMs),
});
/** In the order of addresses, in pages of any size, empty ones among them. */
const pages = fc
  .array(service, { maxLength: 40 })
  .map((rows) => rows.toSorted((a, b) => (a.address < b.address ? -1 : a.address > b.address ? 1 : a.port - b.port)))
  .chain((rows) =>
    fc.array(fc.integer({ min: 0, max: rows.length }), { maxLength: 6 }).map((cuts) => {
      const places = [0, ...cuts.toSorted((a, b) => a - b), rows.length];
      return places.slice(1).map((place, index) => rows.slice(places[index], place));
    }),
  );

function fileOf(format: ExportFormat, parts: readonly LabelledService[][]): string {
  const encoder: Encoder = encoderOf(format, FACTS);
  return encoder.head() + parts.map((rows) => encoder.rows(rows)).join("") + encoder.end();
}

test("JSON and NDJSON hold the services as the list shows them", () => {
  fc.assert(
    fc.property(pages, (parts) => {
      expect(JSON.parse(fileOf("json", parts))).toEqual({ items: parts.flat(), next_cursor: null });
      const lines = fileOf("ndjson", parts).split("\n");
      expect(lines.pop()).toBe("");
      expect(lines.map((line) => JSON.parse(line) as unknown)).toEqual(parts.flat());
    }),
  );
});

test("CSV parsed again gives the same services, and no cell is a formula", () => {
  fc.assert(
    fc.property(pages, (parts) => {
      const cells = parse(fileOf("csv", parts), { columns: true }) as Record<string, string>[];
      const time = (text: string | undefined): number | null => (text === "" ? null : Date.parse(text ?? "?"));
      const words = (text: string | undefined): string[] => (text === "" ? [] : (text ?? "").replace(/^'/, "").split(" "));
      const read = cells.map((row) => ({
        address: row["address"],
        protocol: row["protocol"],
        port: Number(row["port"]),
        state: row["state"],
        firstSeenMs: time(row["first_seen"]),
        lastSeenMs: time(row["last_seen"]),
        seenBy: words(row["seen_by"]),
        changedAtMs: time(row["changed_at"]),
        reopened: row["reopened"] === "true",
        known: row["known"] === "true",
        tainted: row["tainted"] === "true",
        labels: words(row["labels"]),
        coveredAtMs: time(row["covered_at"]),
      }));
      expect(read).toEqual(parts.flat());
      for (const row of cells) for (const cell of Object.values(row)) expect(cell).not.toMatch(/^[=+\-@\t\r]/);
    }),
  );
});

test("lines of address and port hold each pair once, IPv6 in brackets", () => {
  fc.assert(
    fc.property(pages, (parts) => {
      const lines = fileOf("txt", parts).split("\n").slice(0, -1);
      const pairs = parts.flat().map(({ address, port }) => (address.includes(":") ? `[${address}]:${port}` : `${address}:${port}`));
      expect(lines).toEqual([...new Set(pairs)]);
    }),
  );
});

test("masscan JSON is read again by the importer: what is open or missing as sightings, what is closed as closed", () => {
  fc.assert(
    fc.property(pages, (parts) => {
      const file = fileOf("masscan.json", parts);
      expect(Array.isArray(JSON.parse(file))).toBe(true);
      const { lines, ended } = parseMasscanJson(file);
      expect(ended).toBe(true);
      const read = lines.map((line) =>
        line.kind === "sighting" ? { ...line.sighting, address: formatAddress(line.sighting.address) } : line.kind,
      );
      expect(read).toEqual(
        parts
          .flat()
          .map(({ address, protocol, port, state, lastSeenMs }) =>
            state === "closed" ? "closed" : { address, protocol, port, observedAtS: lastSeenMs / 1_000 },
          ),
      );
    }),
  );
});

type Element = { readonly name: string; readonly attributes: Readonly<Record<string, string>> };

function elementsOf(text: string): Element[] {
  const parser = new SaxesParser();
  const elements: Element[] = [];
  parser.on("opentag", ({ name, attributes }) => void elements.push({ name, attributes }));
  parser.on("error", (error) => {
    throw error;
  });
  parser.write(text).close();
  return elements;
}

test("nmap XML is well formed and holds every service under its host, each host once", () => {
  fc.assert(
    fc.property(pages, (parts) => {
      const elements = elementsOf(fileOf("nmap.xml", parts));
      expect(elements[0]).toMatchObject({
        name: "nmaprun",
        attributes: { scanner: "nmap", args: `portolan export --format nmap.xml ${FACTS.filter}` },
      });
      const read: unknown[] = [];
      let address = "";
      let port: Element | undefined;
      for (const element of elements) {
        if (element.name === "address") address = element.attributes["addr"] ?? "";
        if (element.name === "port") port = element;
        if (element.name === "state")
          read.push([address, port?.attributes["protocol"], Number(port?.attributes["portid"]), element.attributes["state"]]);
      }
      expect(read).toEqual(parts.flat().map((one) => [one.address, one.protocol, one.port, one.state === "closed" ? "closed" : "open"]));
      const hosts = new Set(parts.flat().map((one) => one.address)).size;
      expect(elements.filter(({ name }) => name === "host")).toHaveLength(hosts);
      expect(elements.at(-1)).toEqual({ name: "hosts", attributes: { up: String(hosts), down: "0", total: String(hosts) } });
    }),
  );
});
