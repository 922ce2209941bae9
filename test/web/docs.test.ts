import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { startTestApi, type TestApi } from "../api/harness.ts";
import { webWith } from "./fixture.ts";

let api: TestApi;
let web: ReturnType<typeof webWith>;

beforeAll(async () => {
  api = await startTestApi();
  web = webWith({}, { callApi: (request) => api.app.fetch(request) });
});

afterAll(async () => {
  await api.close();
});

async function pageAt(path: string): Promise<string> {
  const response = await web.request(`https://portolan.example${path}`);
  expect([path, response.status, response.headers.get("content-security-policy")]).toEqual([
    path,
    200,
    expect.stringContaining("default-src 'none'"),
  ]);
  return response.text();
}

function linksOf(html: string): string[] {
  return [...html.matchAll(/href="(\/docs[^"]*)"/g)].map(([, href = ""]) => href);
}

describe("the reference of the API", () => {
  test("needs no sign-in, no script and nothing from elsewhere, and lists every operation", async () => {
    const html = await pageAt("/docs");
    const document = (await (await api.ask("GET", "/openapi.json", { role: null })).json()) as { paths: Record<string, object> };
    const routes = Object.entries(document.paths).flatMap(([path, of]) =>
      Object.keys(of).map((method) => `${method.toUpperCase()} ${path}`),
    );
    const shown = [...html.matchAll(/<code class="docs-route">([^<]+)<\/code>/g)].map(([, route = ""]) => route);
    expect(shown.toSorted()).toEqual(routes.toSorted());
    for (const foreign of ["<script", "<style", " style=", "http://", "https://"]) expect(html).not.toContain(foreign);
    expect(html).toContain('href="/openapi.json"');
  });

  test("each of its links leads to a page with that part, with role, fields, answers and a command", async () => {
    const wanted = new Map<string, Set<string>>();
    const seen = new Map<string, string>();
    const queue = ["/docs"];
    for (let path = queue.pop(); path !== undefined && seen.size < 100; path = queue.pop()) {
      if (seen.has(path)) continue;
      const html = await pageAt(path);
      seen.set(path, html);
      for (const link of linksOf(html)) {
        const [target = "", anchor] = link.split("#");
        queue.push(target);
        if (anchor !== undefined) wanted.set(target, (wanted.get(target) ?? new Set()).add(anchor));
      }
    }
    for (const [path, anchors] of wanted) {
      const html = seen.get(path) ?? "";
      for (const anchor of anchors) expect(html, `${path}#${anchor}`).toContain(`id="${anchor}"`);
      expect(new Set([...html.matchAll(/ id="([^"]+)"/g)].map(([, id]) => id)).size).toBe([...html.matchAll(/ id="/g)].length);
    }
    const plans = seen.get("/docs/plans") ?? "";
    for (const part of [
      "Needs the role operator, or one above it.",
      "curl -X POST &#39;https://portolan.example/v1/plans&#39;",
      "-H &quot;Authorization: Bearer $PORTOLAN_TOKEN&quot;",
      '<a href="/docs/schemas#Plan">Plan</a>',
      "application/problem+json",
      "If-Match: *",
    ])
      expect(plans).toContain(part);
    expect(seen.get("/docs/health")).toContain("Needs no token.");
    expect(seen.get("/docs/changes")).toContain("curl -N");
  });

  test("a part that is not there is a page that says so", async () => {
    const response = await web.request("/docs/nonsense");
    expect([response.status, await response.text()]).toEqual([404, expect.stringContaining("no such part")]);
  });
});
