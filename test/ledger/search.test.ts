import fc from "fast-check";
import { ADDRESS_LAST } from "../../src/core/address.ts";
import { formatRange, parseRange } from "../../src/core/range.ts";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { countSql, facetsOf, facetsSql, searchCounts } from "../../src/ledger/search/facets.ts";
import { searchServices, searchSql } from "../../src/ledger/search/search.ts";
import { SEARCH_SORTS, type SearchSort } from "../../src/ledger/search/query.ts";
import { type MemoryDatabase, openMemoryDatabase } from "./memory-database.ts";
import { context, expected, GROUPS, keyOf, made, place } from "./search-model.ts";

let database: MemoryDatabase;

beforeAll(async () => {
  database = openMemoryDatabase();
  await database.batch(
    [
      { sql: "insert into log(n, id, region) values (1, 'a', 'eu'), (2, 'b', 'us')" },
      { sql: "insert into signer(n, key, name) values (1, 'K1', 'de01'), (2, 'K2', 'ny01')" },
      ...made.flatMap((one) => [
        {
          sql: "insert into sighting(ip, port, proto, log, first_at_s, last_at_s, last_rseq, own_rseq, signer) values (unhex(?1), ?2, ?3, ?4, ?5, ?6, 0, 0, ?7)",
          args: [...place(one), one.region === "eu" ? 1 : 2, one.firstS, one.lastS, one.scanner === "de01" ? 1 : 2],
        },
        {
          sql: "update service set state = ?4, known = ?5, reopened = ?6 where ip = unhex(?1) and port = ?2 and proto = ?3",
          args: [...place(one), one.state, one.known, one.reopened],
        },
      ]),
    ],
    "write",
  );
});
afterAll(() => database.close());

async function all(text: string, options: { sort?: SearchSort; limit?: number; window?: number } = {}): Promise<string[]> {
  const found: string[] = [];
  let cursor: string | undefined;
  for (let pages = 0; pages < 2_000; pages += 1) {
    const { items, next } = await searchServices(database, {
      ...context(text, options.window),
      ...(options.sort === undefined ? {} : { sort: options.sort }),
      ...(options.limit === undefined ? {} : { limit: options.limit }),
      ...(cursor === undefined ? {} : { cursor }),
    });
    found.push(...items.map(keyOf));
    if (next === null) return found;
    cursor = next;
  }
  throw new Error("the pages never end");
}

const terms = fc.constantFrom(
  "port:22",
  "port:22,80",
  "port:tcp/443",
  "-port:22",
  "port:50-500",
  "proto:udp",
  "net:192.0.2.0/26",
  "net:192.0.2.0/28,192.0.2.32/28,192.0.2.96/29",
  "-net:192.0.2.0/25",
  "ip:192.0.2.7",
  "group:edge",
  "group:none",
  "-group:edge",
  "region:eu",
  "-region:us",
  "scanner:de01,ny01",
  "scanner:ny01",
  "state:open",
  "state:missing",
  "state:closed",
  "-state:open",
  "state:open,missing,closed",
  "known:show",
  "known:only",
  "known:hide",
  "seen:<1d",
  "seen:>6h",
  "first:<1w",
  "label:never-covered",
  "change:reopened",
);

test("a search finds what the filter says, whole and in order, over pages and windows of any size", async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.uniqueArray(terms, { maxLength: 4, selector: (term) => term.split(":")[0] }),
      fc.constantFrom(...SEARCH_SORTS),
      fc.integer({ min: 1, max: 60 }),
      fc.integer({ min: 1, max: 60 }),
      async (words, sort, limit, window) => {
        const text = words.join(" ");
        const byPort = sort.endsWith("port");
        fc.pre(!byPort || !/known:(show|only)|state:(missing|closed)|state:open,missing,closed|-state/.test(text));
        expect(await all(text, { sort, limit, window })).toEqual(expected(text, sort));
      },
    ),
    { numRuns: 300 },
  );
});

test("facets count what the list shows", async () => {
  const found = await facetsOf(database, context(""), ["state", "port", "region", "scanner"]);
  const shown = expected("", "address");
  expect(found.total).toEqual({ count: shown.length, exact: true });
  for (const values of Object.values(found.facets)) expect(values.reduce((sum, { count }) => sum + count, 0)).toBe(shown.length);
  const ports = found.facets.port ?? [];
  for (const { value, count } of ports) expect((await all(`port:${value}`)).length).toBe(count);
  expect((await facetsOf(database, context("", 10), ["state"])).total).toEqual({ count: 10, exact: false });
});

test("a count is what the list shows, exact from the tally or within a window, and so is what known-good hides", async () => {
  for (const text of [
    "",
    "port:22,tcp/443 -proto:udp",
    "state:closed",
    "net:192.0.2.0/25",
    "group:edge seen:<1d",
    "known:show",
    "known:only",
  ]) {
    const { total, hiddenKnownGood } = await searchCounts(database, context(text));
    expect([text, total]).toEqual([text, { count: expected(text, "address").length, exact: true }]);
    const hidden = text.includes("known:") ? 0 : expected(`${text} known:only`, "address").length;
    expect([text, hiddenKnownGood]).toEqual([text, { count: hidden, exact: true }]);
  }
  const { total } = await searchCounts(database, context("net:192.0.2.0/25", 10));
  expect(total).toEqual({ count: 10, exact: false });
  expect(countSql(context("port:22 state:open")).statements).toHaveLength(1);
});

test("the facet of range groups counts what a search in each group finds", async () => {
  const whole = new Map([...GROUPS, ["all", [{ first: 0n, last: ADDRESS_LAST }]], ["one", [parseRange("192.0.2.7")]]]);
  for (const text of ["", "known:show state:open,missing,closed", "port:80"]) {
    const { facets } = await facetsOf(database, { ...context(text), groups: whole }, ["group"]);
    for (const [name, ranges] of whole) {
      const term = name === "all" ? "" : ranges.length === 0 ? "port:9" : `net:${ranges.map(formatRange).join()}`;
      const count = facets.group?.find(({ value }) => value === name)?.count ?? 0;
      expect([text, name, count]).toEqual([text, name, (await all(`${text} ${term}`)).length]);
    }
  }
});

describe("a search refuses", () => {
  test.each([
    ["known:only", { sort: "port" as const }, /sorted by port only/],
    ["group:unknown", {}, /range group "unknown"/],
    ["change:opened", {}, /change:reopened only/],
  ])("%s with %j", async (text, options, message) => {
    await expect(searchServices(database, { ...context(text), ...options })).rejects.toThrow(message);
  });

  test("a cursor of another list", async () => {
    await expect(searchServices(database, { ...context(""), cursor: "12" })).rejects.toThrow(/cursor/);
  });
});

describe("the window of a search", () => {
  test.each([
    ["", "service_shown"],
    ["port:22", "service_port"],
    ["state:missing", "service_missing"],
    ["state:closed", "service_closed"],
    ["known:only", "service_good"],
    ["net:192.0.2.0/24", "service_shown"],
    ["known:show state:open,missing,closed", "PRIMARY KEY"],
    ["port:22,443 seen:<1d", "service_shown"],
    ["label:stale", "service_shown"],
  ])("of %j walks along %s without sorting", (text, index) => {
    for (const sort of ["address", "-address"] as const) {
      const plan = walkPlan(searchSql({ ...context(text), sort, cursor: `${"0".repeat(32)}.0.6` }, 100).statements[0]);
      expect(plan).toHaveLength(1);
      expect(plan[0]).toMatch(index === "PRIMARY KEY" ? /SEARCH s USING PRIMARY KEY/ : new RegExp(`INDEX ${index}`));
    }
  });

  test("of many ranges walks from one to the next without sorting", () => {
    const { statements } = searchSql({ ...context("group:edge"), cursor: `${"0".repeat(32)}.0.6` }, 100);
    const plan = walkPlan(statements[0]);
    expect(plan).toHaveLength(2);
    expect(plan[1]).toMatch(/SEARCH s USING INDEX service_shown \(ip>\? AND ip<\?\)/);
  });

  test.each(["vantage:disagree", "vantage:disagree net:192.0.2.0/24 state:closed"])("of %j walks along what is silent", (text) => {
    for (const sort of ["address", "-address"] as const) {
      const [page] = searchSql({ ...context(text), sort, cursor: `${"0".repeat(32)}.0.6` }, 100).statements;
      const plan = walkPlan(page).filter((line) => !/w USING|CORRELATED/.test(line));
      expect(plan.slice(0, 2)).toEqual([
        expect.stringMatching(/SEARCH v USING PRIMARY KEY/),
        expect.stringMatching(/SEARCH s USING PRIMARY KEY/),
      ]);
      expect(plan.filter((line) => line.includes("TEMP B-TREE"))).toEqual([]);
    }
  });

  test("of facets is the same walk", () => {
    const { statements } = facetsSql(context("seen:<1d"), ["region"]);
    expect(walkPlan(statements[0])).toEqual([expect.stringMatching(/service_shown/)]);
  });
});

/** Plan of the innermost select: the walk itself. A sort would show as one more line. */
function walkPlan(statement: { sql: string; args?: readonly unknown[] } | undefined): string[] {
  const inner = /\((select s\.ip, s\.port, s\.proto, s\.state.*? limit \d+)\) s/s.exec(statement?.sql ?? "")?.[1];
  return planOf({ sql: inner ?? "", args: statement?.args ?? [] });
}

function planOf(statement: { sql: string; args?: readonly unknown[] } | undefined): string[] {
  const args = Object.fromEntries((statement?.args ?? []).map((value, index) => [String(index + 1), value]));
  return database.sqlite
    .prepare(`explain query plan ${statement?.sql ?? ""}`)
    .all(args)
    .map((row) => String((row as { detail: string }).detail));
}
