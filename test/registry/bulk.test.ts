import { parse } from "csv-parse/sync";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { BULK_FORMATS, readBulk, writeBulk } from "../../src/registry/bulk/cells.ts";
import { readEntries } from "../../src/registry/bulk/entries.ts";
import { BULK_COLUMNS, BULK_LISTS } from "../../src/registry/bulk/lists.ts";

const DEFAULTS = { group: "lan", owner: "ops", reason: "test" };

/** Text that looks like a file, often enough to get far. */
const fragment = fc.oneof(
  fc.string({ maxLength: 12 }),
  fc.string({ unit: "binary", maxLength: 6 }),
  fc.constantFrom(
    "192.0.2.0/24",
    "192.0.2.1-192.0.2.9",
    "2001:db8::/64",
    "0.0.0.0/0",
    "22,U:53",
    "2027-01-31T12:00:00Z",
    "true",
    "6h",
    "0 3 * * *",
    "\n",
    "\r\n",
    ",",
    '"',
    '""',
    "'=x",
    "#",
    ";",
    "{",
    "}",
    ":",
    "[",
    "]",
    "\u0000",
    "\uFEFF",
    "name",
    "group",
    "ranges",
    "owner",
    "reason",
    "ports",
    '{"range":"192.0.2.1"}',
    '{"ranges":["192.0.2.1"],"owner":"o"}',
    "ranges,owner,reason\n",
    "name,ports,include\n",
    '{"name":1e400}',
  ),
);

describe("files of lists", () => {
  test("50,000 files of whatever content are read or refused by line, and nothing else", async () => {
    let refusals = 0;
    await fc.assert(
      fc.asyncProperty(
        fc.array(fragment, { maxLength: 25 }),
        fc.constantFrom(...BULK_LISTS),
        fc.constantFrom(...BULK_FORMATS),
        async (parts, list, format) => {
          const file = readBulk(parts.join(""), format, BULK_COLUMNS[list]);
          const { entries, refused } = await readEntries(list, file, { defaults: DEFAULTS, nowMs: 0 });
          refusals += refused.length;
          for (const { line, reason } of refused) {
            if (line < 1 || reason === "" || reason.length > 500) throw new Error(`a refusal without line or words: ${line} ${reason}`);
          }
          for (const entry of entries) if (entry.lines.length === 0) throw new Error("an entry from nowhere");
        },
      ),
      { numRuns: 50_000 },
    );
    expect(refusals).toBeGreaterThan(10_000);
  }, 600_000);

  test("what is written is read back to the letter, in CSV and NDJSON, and no cell begins a formula", () => {
    const columns = BULK_COLUMNS.exclusions;
    const cell = fc
      .oneof(fc.string({ maxLength: 20 }), fc.constantFrom("=1+1", "'=x", "@all", "-1", 'a "b", c', "+", "''", "\t=x"))
      .map((text) => text.trim());
    const row = fc
      .tuple(...columns.map(() => cell))
      .map((cells) => Object.fromEntries(columns.map((column, index) => [column, cells[index] ?? ""])));
    fc.assert(
      fc.property(fc.array(row, { maxLength: 5 }), fc.constantFrom("csv" as const, "ndjson" as const), (rows, format) => {
        const kept = rows.filter((cells) => Object.values(cells).some((text) => text !== ""));
        const text = writeBulk(kept, format, columns);
        const read = readBulk(text, format, columns);
        expect(read.refused).toEqual([]);
        expect(read.rows.map(({ cells }) => cells)).toEqual(kept);
        const cells: string[][] = format === "csv" ? parse(text) : [];
        for (const shown of cells.flat()) expect(shown).not.toMatch(/^[=+@-]/);
      }),
      { numRuns: 1_000 },
    );
  });

  test("an exclude file gives each range its comment, or the one above it", () => {
    const text = "# printers\n192.0.2.1\n192.0.2.4-192.0.2.9 # the loud one\n\n; \n198.51.100.0/24, 203.0.113.0/24\n2001:db8::/64";
    expect(readBulk(text, "txt", BULK_COLUMNS.exclusions).rows).toEqual([
      { line: 2, cells: { range: "192.0.2.1", reason: "printers" } },
      { line: 3, cells: { range: "192.0.2.4-192.0.2.9", reason: "the loud one" } },
      { line: 6, cells: { range: "198.51.100.0/24", reason: "" } },
      { line: 6, cells: { range: "203.0.113.0/24", reason: "" } },
      { line: 7, cells: { range: "2001:db8::/64", reason: "" } },
    ]);
  });

  test.each([
    ["csv", "", /empty/],
    ["csv", "ranges,nonsense\n1,2", /no column "nonsense"/],
    ["csv", 'ranges,owner\n"x', /no CSV/],
    ["csv", "ranges,owner\n192.0.2.1,a,b", /3 cells/],
    ["ndjson", "[1]", /no JSON object/],
    ["ndjson", "{", /no JSON/],
    ["ndjson", '{"wrong":1}', /no column "wrong"/],
    ["ndjson", '{"ranges":{"a":1}}', /neither text/],
  ] as const)("a wrong %s file says what is wrong (%s)", (format, text, reason) => {
    expect(readBulk(text, format, BULK_COLUMNS.exclusions).refused[0]?.reason).toMatch(reason);
  });
});
