import { afterAll, beforeAll, beforeEach, expect, test } from "vitest";
import { EXPORT_FORMATS } from "../../src/api/export-formats.ts";
import { PortolanError } from "../../src/core/errors.ts";
import { formatFilter } from "../../src/core/filter/filter.ts";
import { SERVICE, startTestApi, type TestApi } from "./harness.ts";

let api: TestApi;
let usual: TestApi["ledger"];

beforeAll(async () => {
  api = await startTestApi();
  await api.store.registry.addRangeGroup({ name: "edge", ranges: ["192.0.2.0/24"] });
  usual = { ...api.ledger };
});
beforeEach(() => {
  Object.assign(api.ledger, usual);
  api.bugs.length = 0;
});
afterAll(() => api?.close());

const detail = async (response: Response): Promise<string> => ((await response.json()) as { detail: string }).detail;

test("each format is a file of its own type with all pages in it, and no ETag makes it wait for its end", async () => {
  for (const format of EXPORT_FORMATS) {
    const response = await api.ask("GET", `/v1/services.${format}?q=edge:x`);
    expect([format, response.status]).toEqual([format, 400]);
    const file = await api.ask("GET", `/v1/services.${format}?q=group:edge`);
    expect([format, file.status, file.headers.get("etag"), file.headers.get("cache-control")]).toEqual([format, 200, null, "no-store"]);
    expect(file.headers.get("content-disposition")).toBe(`attachment; filename="portolan-services.${format}"`);
    const text = await file.text();
    expect([format, text.includes("443"), text.includes("444")]).toEqual([format, true, true]);
  }
});

test("what is wrong is a problem before the file begins", async () => {
  for (const [query, words] of [
    ["q=prot:80", "proto"],
    ["sort=port", "sort"],
  ] as const) {
    const response = await api.ask("GET", `/v1/services.csv?${query}`);
    expect([query, response.headers.get("content-type"), await detail(response)]).toEqual([
      query,
      "application/problem+json",
      expect.stringContaining(words),
    ]);
  }
  api.ledger.search = () => Promise.reject(new PortolanError("unavailable", "the ledger is away"));
  expect((await api.ask("GET", "/v1/services.json")).status).toBe(503);
});

test("a file whose ledger fails on the way breaks off instead of looking whole", async () => {
  api.ledger.search = async ({ cursor }) => {
    if (cursor !== undefined) throw new Error("a bug");
    return { items: [SERVICE], next: "k:1" };
  };
  const response = await api.ask("GET", "/v1/services.txt");
  expect(response.status).toBe(200);
  await expect(response.text()).rejects.toThrow();
  expect(api.bugs).toHaveLength(1);
});

test("a page in the middle that the ledger does not give at once is asked for again", async () => {
  let failures = 0;
  api.ledger.search = async (query) => {
    if (query.cursor !== undefined && failures++ < 2) throw new PortolanError("unavailable", "busy");
    return usual.search(query);
  };
  expect(await (await api.ask("GET", "/v1/services.txt")).text()).toBe("192.0.2.1:443\n192.0.2.1:444\n");
  expect(failures).toBe(3);
});

test("pages are read only as fast as they are taken, empty ones are passed over, and nobody reads after the reader has gone", async () => {
  const read: (string | undefined)[] = [];
  api.ledger.search = async ({ cursor }) => {
    read.push(cursor);
    const page = Number(cursor ?? 0) + 1;
    return { items: page % 2 === 0 ? [] : [{ ...SERVICE, port: page }], next: String(page) };
  };
  const response = await api.ask("GET", "/v1/services.txt");
  const reader = response.body?.getReader();
  if (reader === undefined) throw new Error("no body");
  expect(read).toEqual([undefined]);
  const piece = async (): Promise<string> => new TextDecoder().decode((await reader.read()).value as Uint8Array);
  expect([await piece(), await piece(), await piece()]).toEqual(["192.0.2.1:1\n", "192.0.2.1:3\n", "192.0.2.1:5\n"]);
  const reads = read.length;
  expect(reads).toBeLessThanOrEqual(6);
  await reader.cancel();
  expect(read.length).toBe(reads);
});

test("a list takes the filter and the older parameters as one, refuses a cursor of another filter or order, and counts", async () => {
  const asked: string[] = [];
  api.ledger.search = async (query) => {
    asked.push(`${formatFilter(query.filter)} ${query.sort ?? "-"} ${[...query.groups.keys()].join()}`);
    return { items: query.cursor === undefined ? [SERVICE] : [], next: query.cursor === undefined ? "k:1" : null };
  };
  api.ledger.searchCounts = async () => ({
    total: { count: 10_000, exact: false },
    hiddenKnownGood: { count: 7, exact: true },
  });
  const path = "/v1/services?q=group:edge%20-proto:udp&port=22&state=closed&sort=-address";
  const first = await api.ask("GET", path);
  const body = (await first.json()) as Record<string, unknown>;
  expect(asked).toEqual(["port:22 -proto:udp group:edge state:closed known:hide -address edge"]);
  expect(body).toMatchObject({ total: { count: 10_000, exact: false }, hiddenKnownGood: 7, hiddenKnownGoodExact: true });
  const next = /<([^>]+)>; rel="next"/.exec(first.headers.get("link") ?? "")?.[1] ?? "";
  expect((await api.ask("GET", next)).status).toBe(200);
  const cursor = String(body["next_cursor"]);
  // The same filter in other words.
  const same = "/v1/services?q=state:closed+group:edge+port:22,22+!proto:udp&sort=-address";
  expect((await api.ask("GET", `${same}&cursor=${cursor}`)).status).toBe(200);
  for (const other of ["q=group:edge&sort=-address", "q=group:edge+-proto:udp&port=22&state=closed"]) {
    const refused = await api.ask("GET", `/v1/services?${other}&cursor=${cursor}`);
    expect([other, refused.status, await detail(refused)]).toEqual([other, 400, expect.stringContaining("another filter")]);
  }
});

test("facets are those that are asked for, and range groups are counted by all that are registered", async () => {
  const asked: unknown[] = [];
  api.ledger.facets = async ({ groups }, facets) => {
    asked.push([[...groups.keys()], facets]);
    return { total: { count: 0, exact: true }, facets: {} };
  };
  expect((await api.ask("GET", "/v1/services/facets?facet=port,state&q=443")).status).toBe(200);
  expect((await api.ask("GET", "/v1/services/facets?facet=group")).status).toBe(200);
  expect(asked).toEqual([
    [[], ["port", "state"]],
    [["@scanners", "edge"], ["group"]],
  ]);
  const refused = await api.ask("GET", "/v1/services/facets?facet=colour");
  expect([refused.status, await detail(refused)]).toEqual([400, expect.stringContaining("scanner, group")]);
});

test("changes take a filter of places and kinds, and say which words they do not know", async () => {
  const asked: unknown[] = [];
  api.ledger.listChanges = async ({ matching }) => {
    asked.push(matching === undefined ? null : [formatFilter(matching.filter), [...matching.groups.keys()]]);
    return { items: [], next: null };
  };
  expect((await api.ask("GET", "/v1/changes?q=group:edge+change:opened")).status).toBe(200);
  expect((await api.ask("GET", "/v1/changes")).status).toBe(200);
  expect(asked).toEqual([["group:edge change:opened", ["edge"]], null]);
  expect((await api.ask("GET", "/v1/changes?q=chnge:opened")).status).toBe(400);
});
