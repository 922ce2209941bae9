import { describe, expect, test } from "vitest";
import type { Asker, Traits } from "./suite-types.ts";

/** As browsers ask: `/jobs` is also a route of the old program, for who asks for anything. */
const PAGE = { accept: "text/html,*/*;q=0.8" };
const FORM = { "content-type": "application/x-www-form-urlencoded", "sec-fetch-site": "same-origin" };

/** Pages, their session and their assets. */
export function pageSuite({ servesStatic }: Traits, subject: () => Asker): void {
  const page = (path: string, headers: Record<string, string> = {}): Promise<Response> => {
    const { fetch, known } = subject();
    return fetch(path, { headers: { ...PAGE, cookie: `portolan_token=${known.tokens.viewer}`, ...headers } });
  };

  describe("pages", () => {
    test("send who is not signed in to the sign-in page, and back after it, with a cookie that scripts cannot read", async () => {
      const { fetch, known } = subject();
      const away = await fetch("/jobs", { headers: PAGE });
      await away.arrayBuffer();
      expect([away.status, away.headers.get("location")]).toEqual([303, "/login?next=%2Fjobs"]);
      const login = await fetch("/login?next=/jobs");
      expect([login.status, login.headers.get("cache-control")]).toEqual([200, "no-store"]);
      expect(await login.text()).toContain("<form");
      const wrong = await fetch("/login", { method: "POST", headers: FORM, body: "token=nonsense" });
      expect([wrong.status, wrong.headers.get("set-cookie")]).toEqual([401, null]);
      await wrong.arrayBuffer();
      const right = await fetch("/login", { method: "POST", headers: FORM, body: `token=${known.tokens.viewer}&next=/jobs` });
      await right.arrayBuffer();
      expect([right.status, right.headers.get("location")]).toEqual([303, "/jobs"]);
      expect(right.headers.get("set-cookie")).toMatch(/^portolan_token=ptl_.*; HttpOnly; SameSite=Strict$/i);
      const out = await fetch("/logout", { method: "POST", headers: FORM });
      await out.arrayBuffer();
      expect([out.status, out.headers.get("clear-site-data")]).toEqual([303, '"cache"']);
      const foreign = await fetch("/logout", { method: "POST", headers: { ...FORM, "sec-fetch-site": "cross-site" } });
      await foreign.arrayBuffer();
      expect(foreign.status).toBe(403);
    });

    test("are all there, with the headers that pages have", async () => {
      const { known } = subject();
      for (const path of [
        "/",
        "/?state=all",
        "/hosts/192.0.2.1",
        "/hosts/192.0.2.1/443/tcp",
        "/changes",
        "/jobs",
        `/jobs/${known.endedJob}`,
        "/docs",
        "/docs/changes",
        "/docs/schemas",
      ]) {
        const response = await page(path);
        const { headers, status } = response;
        const text = await response.text();
        const policy = headers.get("content-security-policy")?.includes("default-src 'none'");
        const told = [
          path,
          status,
          headers.get("content-type")?.toLowerCase(),
          headers.get("x-portolan-region"),
          policy,
          text.includes("</html>"),
        ];
        expect(told).toEqual([path, 200, "text/html; charset=utf-8", "eu", true, true]);
      }
      expect(await (await page("/?state=all")).text()).toContain("192.0.2.1");
      const nothing = await page("/nothing");
      expect([nothing.status, nothing.headers.get("content-type")?.toLowerCase()]).toEqual([404, "text/html; charset=utf-8"]);
      await nothing.arrayBuffer();
    });

    test("cost a 304 when nothing changed, and stay in no shared cache", async () => {
      const first = await page("/changes");
      const etag = first.headers.get("etag") ?? "";
      expect([etag, first.headers.get("cache-control")]).toEqual([expect.stringMatching(/^W\/".+"$/), "private, no-cache"]);
      await first.arrayBuffer();
      // As browsers ask; `fetch` alone would add `no-cache`.
      const again = await page("/changes", { "if-none-match": etag, "cache-control": "max-age=0" });
      expect([again.status, await again.text()]).toEqual([304, ""]);
      const signedOut = await subject().fetch("/changes", { headers: { "if-none-match": etag } });
      await signedOut.arrayBuffer();
      expect(signedOut.status).toBe(303);
    });

    test("have their assets", async () => {
      const style = await subject().fetch("/static/portolan.css");
      const text = await style.text();
      const told = [style.status, (style.headers.get("content-type") ?? "").replace(/;.*/, ""), text.length > 1_000];
      expect(servesStatic ? told : "the platform's").toEqual(servesStatic ? [200, "text/css", true] : "the platform's");
      const outside = await subject().fetch("/static/../../../package.json");
      expect(await outside.text()).not.toContain('"dependencies"');
    });
  });
}
