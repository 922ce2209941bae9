import type { Hono } from "hono";
import { expect, test } from "vitest";
import { fakeLedger, service, TOKEN, webWith } from "./fixture.ts";

const SIGNED_IN = { headers: { cookie: `portolan_token=${TOKEN}` } };

async function html(web: Hono, path: string): Promise<string> {
  const response = await web.request(path, SIGNED_IN);
  expect(response.headers.get("content-type")).toContain("text/html");
  return response.text();
}

function linkTo(page: string, rel: string): string {
  const link = new RegExp(`<a [^>]*rel="${rel}"[^>]*>`).exec(page)?.[0] ?? "";
  return (/href="([^"]*)"/.exec(link)?.[1] ?? "").replaceAll("&amp;", "&");
}

const addressesIn = (page: string): string[] =>
  [...page.matchAll(/href="\/hosts\/([^"/]+)"/g)].map((match) => decodeURIComponent(match[1] ?? ""));

test("filters by network, port and state hold together, and each chip takes one of them away", async () => {
  const web = webWith({
    services: [
      service({ address: "192.0.2.1", port: 22, state: "closed" }),
      service({ address: "192.0.2.2", port: 22 }),
      service({ address: "192.0.2.200", port: 22, state: "closed" }),
      service({ address: "192.0.2.3", port: 80, state: "closed" }),
    ],
  });
  const page = await html(web, "/?cidr=192.0.2.0/25&port=22&state=closed");
  expect(addressesIn(page)).toEqual(["192.0.2.1"]);
  expect(addressesIn(await html(web, "/?q=192.0.2.0/25+port:22+state:closed"))).toEqual(["192.0.2.1"]);
  expect(page).toContain('href="/?q=net%3A192.0.2.0%2F25+port%3A22"');
  expect(page).toContain('href="/?q=net%3A192.0.2.0%2F25+state%3Aclosed"');
  expect(page).toContain('href="/?q=port%3A22+state%3Aclosed"');
});

test("the defaults are chips as well: taken away, all states and the known-good are shown", async () => {
  const web = webWith({ services: [service(), service({ port: 80, known: true }), service({ port: 81, state: "closed" })] });
  const page = await html(web, "/");
  expect(page).toContain('href="/?q=state%3Aopen%2Cmissing%2Cclosed"');
  expect(page).toMatch(/href="\/\?q=known%3Ashow"[^>]*>.*known:hide \(1 hidden\)/s);
  expect(await html(web, "/?q=known:show")).toContain("80/tcp");
  expect(await html(web, "/?q=state:open,missing,closed")).toContain("81/tcp");
});

test("values of the table and of the facets are links that narrow the filter", async () => {
  const web = webWith({ services: [service({ seenBy: ["eu", "us"] }), service({ address: "192.0.2.11", port: 22, state: "missing" })] });
  const page = await html(web, "/?q=192.0.2.0/24+port:22,443");
  expect(page).toContain('href="/?q=net%3A192.0.2.0%2F24+port%3Atcp%2F22"');
  expect(page).toContain('href="/?q=net%3A192.0.2.0%2F24+port%3A22%2C443+region%3Aus"');
  expect(page).toContain('href="/?q=net%3A192.0.2.0%2F24+port%3A22%2C443+state%3Amissing"');
  expect(page).toContain('href="/export/services.csv?q=net%3A192.0.2.0%2F24+port%3A22%2C443"');
});

test("an unknown key is a problem that names the nearest one", async () => {
  const web = webWith({ services: [service()] });
  const response = await web.request("/?q=prot:443", SIGNED_IN);
  const page = await response.text();
  expect([response.status, page]).toEqual([400, expect.stringContaining("did you mean proto:udp?")]);
  expect(page).toContain('value="prot:443"');
});

test("a filter that matches nothing says so, and how many known-good services it hides", async () => {
  const web = webWith({ services: [service(), service({ port: 80, known: true })] });
  const page = await html(web, "/?q=port:80");
  expect(page).toContain("Nothing matches this filter");
  expect(page).toContain("1 known-good service matches and is hidden");
  expect(page).toContain('href="/?q=port%3A80+known%3Ashow"');
});

test("empty windows of a search are passed over, and after some of them the reader is asked", async () => {
  const ledger = fakeLedger({ services: [service()] });
  let windows = 0;
  const after = (count: number) => ({
    ...ledger,
    search: async (query: Parameters<typeof ledger.search>[0]) =>
      ++windows % (count + 1) === 0 ? ledger.search({ ...query, cursor: "c0" }) : { items: [], next: "c0" },
  });
  expect(await html(webWith({ services: [service()] }, { ledger: after(3) }), "/?q=seen:<1h")).toContain("443/tcp");
  windows = 0;
  const page = await html(webWith({ services: [service()] }, { ledger: after(1_000) }), "/?q=seen:<1h");
  expect([windows, page]).toEqual([8, expect.stringContaining("No match so far")]);
  expect(linkTo(page, "next")).toBe("/?q=seen%3A%3C1h&cursor=c0");
});

test("an export is the API's file, asked for with the session's rights", async () => {
  const asked: Request[] = [];
  const callApi = (request: Request): Response => {
    asked.push(request);
    return new Response("address\n", { headers: { "content-type": "text/csv", "content-disposition": 'attachment; filename="x.csv"' } });
  };
  const web = webWith({}, { callApi });
  const response = await web.request("/export/services.csv?q=port%3A22", SIGNED_IN);
  expect([response.status, await response.text(), response.headers.get("content-disposition")]).toEqual([
    200,
    "address\n",
    'attachment; filename="x.csv"',
  ]);
  expect(new URL(asked[0]?.url ?? "").pathname + new URL(asked[0]?.url ?? "").search).toBe("/v1/services.csv?q=port%3A22");
  expect(asked[0]?.headers.get("authorization")).toBe(`Bearer ${TOKEN}`);
  expect((await web.request("/export/services.csv")).status).toBe(303);
  expect((await web.request("/export/..%2Ftokens", SIGNED_IN)).status).toBe(404);
});
