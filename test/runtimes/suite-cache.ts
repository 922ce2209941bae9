import { describe, expect, test } from "vitest";
import type { Asker, AskOptions, Traits } from "./suite-types.ts";

/** What one answer tells about where it came from. */
type Told = { readonly status: number; readonly how: string; readonly etag: string; readonly text: string };

/** The cache of one second, seen from outside. */
export function cacheSuite({ name }: Traits, subject: () => Asker): void {
  const tell = async (path: string, options: AskOptions = {}): Promise<Told> => {
    const response = await subject().ask(path, options);
    const { headers, status } = response;
    return { status, how: headers.get("cache-status") ?? "", etag: headers.get("etag") ?? "", text: await response.text() };
  };

  describe("the cache", () => {
    test("answers the second request of a role from memory, and a known one with 304 and no body", async () => {
      const path = `/v1/services?limit=7&state=all`;
      const first = await tell(path, { role: "viewer" });
      const second = await tell(path, { role: "viewer" });
      expect([first.status, second.how, second.text]).toEqual([200, "portolan; hit", first.text]);
      // As browsers ask; `fetch` alone would add `no-cache`.
      const headers = { "if-none-match": `"other", ${first.etag}`, "cache-control": "max-age=0" };
      const third = await tell(path, { role: "viewer", headers });
      expect([third.status, third.how, third.text, third.etag]).toEqual([304, "portolan; hit", "", first.etag]);
      expect((await tell(path, { role: "viewer", headers: { "if-none-match": '"other"' } })).status).toBe(200);
    });

    test("says that answers are private and have to be asked for again", async () => {
      const { headers } = await subject().ask("/v1/services");
      expect([headers.get("cache-control"), headers.get("vary")]).toEqual([
        "private, no-cache",
        "Authorization, Cookie, Accept, Accept-Encoding",
      ]);
    });

    test("keeps the roles apart, and never what belongs to one token", async () => {
      const path = "/v1/services?limit=9";
      await tell(path, { role: "admin" });
      await tell(path, { role: "admin" });
      expect((await tell(path, { role: "viewer" })).how).toBe("portolan; fwd=miss");
      expect((await tell(path, { role: null })).status).toBe(401);
      expect((await tell(path, { headers: { authorization: "Bearer ptl_api_00000000_00_00000000" } })).status).toBe(401);
      const me = async (role: "viewer" | "admin"): Promise<string> => (await tell("/v1/me", { role })).text;
      expect(await me("admin")).toContain("admin of the tests");
      expect(await me("viewer")).toContain("viewer of the tests");
      for (const secret of ["/v1/me", "/v1/tokens", "/readyz"]) {
        await tell(secret);
        expect([secret, (await tell(secret)).how]).toEqual([secret, ""]);
      }
      expect((await tell("/v1/tokens", { role: "viewer" })).status).toBe(403);
    });

    test("is passed by on request", async () => {
      const path = "/v1/services?limit=11";
      await tell(path);
      expect((await tell(path, { headers: { "cache-control": "no-cache" } })).how).toBe("portolan; fwd=request");
      expect((await tell(path)).how).toBe("portolan; hit");
    });

    test("never hides what was just written", async () => {
      const list = async (): Promise<string> => (await tell("/v1/range-groups?limit=1000")).text;
      for (let round = 0; round < 10; round++) {
        const group = `fresh-${name}-${round}`;
        await list();
        expect((await tell("/v1/range-groups", { method: "POST", body: { name: group } })).status).toBe(201);
        expect(await list()).toContain(`"${group}"`);
        expect((await tell(`/v1/range-groups/${group}`, { method: "DELETE" })).status).toBe(200);
        expect(await list()).not.toContain(`"${group}"`);
      }
    });

    test("lets a revoked token go at once when it was revoked here", async () => {
      const made = await subject().ask("/v1/tokens", { method: "POST", body: { name: `short-${name}`, role: "viewer" } });
      const { token, id } = (await made.json()) as { token: string; id: string };
      const status = async (): Promise<number> => (await tell("/v1/services", { headers: { authorization: `Bearer ${token}` } })).status;
      expect([await status(), await status()]).toEqual([200, 200]);
      expect((await tell(`/v1/tokens/${id}`, { method: "DELETE" })).status).toBe(200);
      expect(await status()).toBe(401);
    });
  });
}
