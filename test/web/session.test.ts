import { expect, test } from "vitest";
import { safeNext } from "../../src/web/paths.ts";
import { service, TOKEN, webWith } from "./fixture.ts";

function form(fields: Record<string, string>, headers: Record<string, string> = { "sec-fetch-site": "same-origin" }): RequestInit {
  return {
    method: "POST",
    body: new URLSearchParams(fields),
    headers: { "content-type": "application/x-www-form-urlencoded", ...headers },
  };
}

test("without a valid token every page leads to signing in, and back to where one wanted to go", async () => {
  const web = webWith({ services: [service()] });
  for (const headers of [undefined, { cookie: "portolan_token=wrong" }]) {
    const response = await web.request("/?port=443", headers === undefined ? {} : { headers });
    expect(response.status).toBe(303);
    expect(response.headers.get("location")).toBe("/login?next=%2F%3Fport%3D443");
  }
});

test("the token goes into a cookie that scripts and other sites cannot use", async () => {
  const plain = await webWith({}).request("/login", form({ token: ` ${TOKEN}\n`, next: "/jobs" }));
  expect(plain.status).toBe(303);
  expect(plain.headers.get("location")).toBe("/jobs");
  const cookie = plain.headers.get("set-cookie") ?? "";
  expect(cookie).toContain(`portolan_token=${TOKEN}`);
  expect(cookie).toMatch(/HttpOnly/);
  expect(cookie).toMatch(/SameSite=Strict/);
  expect(cookie).not.toMatch(/Secure/);
  const overTls = await webWith({}).request("https://portolan.example/login", form({ token: TOKEN }));
  expect(overTls.headers.get("set-cookie")).toMatch(/Secure/);
});

test("a wrong token is refused without a cookie and without repeating it", async () => {
  const response = await webWith({}).request("/login", form({ token: "ptl_api_wrong" }));
  expect(response.status).toBe(401);
  expect(response.headers.get("set-cookie")).toBeNull();
  expect(await response.text()).not.toContain("ptl_api_wrong");
});

test("a form from another site, or from nowhere, signs nobody in or out", async () => {
  const foreign: Record<string, string>[] = [
    { "sec-fetch-site": "cross-site" },
    { "sec-fetch-site": "same-site" },
    { origin: "https://evil.example" },
    { origin: "null" },
    {},
  ];
  for (const headers of foreign) {
    for (const path of ["/login", "/logout"]) {
      const response = await webWith({}).request(path, form({ token: TOKEN }, headers));
      expect(response.status).toBe(403);
      expect(response.headers.get("set-cookie")).toBeNull();
    }
  }
  const own = await webWith({}).request("http://portolan.lan/login", form({ token: TOKEN }, { origin: "http://portolan.lan" }));
  expect(own.status).toBe(303);
});

test("signing out takes the cookie away", async () => {
  const response = await webWith({}).request("/logout", form({}));
  expect(response.status).toBe(303);
  expect(response.headers.get("set-cookie")).toMatch(/portolan_token=;.*Max-Age=0/);
});

test("a form larger than any token is refused unread", async () => {
  const response = await webWith({}).request("/login", form({ token: "x".repeat(20_000) }));
  expect(response.status).toBe(413);
});

test("signing in never leads to another site", () => {
  for (const evil of [
    "//evil.example",
    "/\\evil.example",
    "https://evil.example",
    "javascript:alert(1)",
    "/x\\y",
    "",
    "/\u0000",
    "/a\nb",
  ]) {
    expect(safeNext(evil)).toBe("/");
  }
  expect(safeNext("/jobs?cursor=abc")).toBe("/jobs?cursor=abc");
  expect(safeNext(undefined)).toBe("/");
});
