import type { Hono } from "hono";
import { expect, test } from "vitest";
import { PortolanError } from "../../src/core/errors.ts";
import { fakeLedger, job, JOB_ID, manyServices, service, shard, TOKEN, webWith } from "./fixture.ts";

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

test("text from outside is shown, never run: every value of a service, a job and a shard is escaped", async () => {
  const evil = `"><script>alert(1)</script><img src=x onerror=alert(2)>`;
  const web = webWith({
    services: [service({ address: evil, seenBy: [evil] })],
    jobs: [job({ plan: evil, group: evil, home: evil, why: evil, state: "incomplete" })],
    shards: [shard({ scanner: evil, problem: evil, state: "partial" })],
    plans: [evil],
  });
  for (const path of ["/", "/jobs", `/jobs/${JOB_ID}`, `/?cidr=${encodeURIComponent(evil)}&port=${encodeURIComponent(evil)}`]) {
    const page = await html(web, path);
    expect(page).not.toContain("<script>");
    expect(page).not.toContain("<img");
    expect(page).toContain("&lt;script&gt;");
  }
});

test("a page holds no inline script, no inline style and nothing from elsewhere", async () => {
  const web = webWith({
    services: manyServices(60),
    jobs: [job({ state: "running", endedAtMs: null })],
    shards: [shard()],
    plans: ["office"],
  });
  for (const path of ["/", "/jobs", `/jobs/${JOB_ID}`, "/hosts/192.0.2.7", "/login"]) {
    const page = await html(web, path);
    expect(page).not.toMatch(/<style|\sstyle=|\son[a-z]+=|<script(?![^>]*\ssrc="\/static\/)/);
    expect(page).not.toMatch(/(?:src|href|action)="(?:https?:)?\/\//);
  }
});

test("every page, refusals and redirects included, carries the security headers and is not stored", async () => {
  const web = webWith({ jobs: [job()] });
  const answers = [
    await web.request("/", SIGNED_IN),
    await web.request("/?port=x", SIGNED_IN),
    await web.request("/jobs/zz", SIGNED_IN),
    await web.request("/hosts/nonsense", SIGNED_IN),
    await web.request("/"),
    await web.request("/login"),
    await web.request("/login", { method: "POST" }),
  ];
  for (const { headers } of answers) {
    expect(headers.get("content-security-policy")).toMatch(/^default-src 'none';.*frame-ancestors 'none'/);
    expect(headers.get("content-security-policy")).not.toContain("unsafe");
    expect(headers.get("x-content-type-options")).toBe("nosniff");
    expect(headers.get("referrer-policy")).toBe("same-origin");
    expect(headers.get("cache-control")).toBe("no-store");
  }
});

test("following next from the first page meets every active service once, and previous leads back", async () => {
  const services = manyServices(173).map((row, index) => ({ ...row, address: `198.51.100.${index}` }));
  const web = webWith({ services });
  const seen: string[] = [];
  const visited: string[] = [];
  let path = "/";
  while (path !== "") {
    const page = await html(web, path);
    visited.push(page);
    seen.push(...addressesIn(page));
    path = linkTo(page, "next");
  }
  expect(new Set(seen).size).toBe(seen.length);
  expect(seen.length).toBe(services.filter((row) => row.state !== "closed").length);
  expect(linkTo(visited[0] ?? "", "prev")).toBe("");
  for (let index = visited.length - 1; index > 0; index--) {
    const back = await html(web, linkTo(visited[index] ?? "", "prev"));
    expect(addressesIn(back)).toEqual(addressesIn(visited[index - 1] ?? ""));
  }
});

test("all states are listed once each, over any number of pages", async () => {
  for (const count of [7, 50, 100, 133]) {
    const services = manyServices(count).map(
      (row, index) => ({ ...row, address: `198.51.100.${index}`, state: index % 2 === 0 ? "closed" : row.state }) as const,
    );
    const web = webWith({ services });
    const seen: string[] = [];
    for (let path = "/?state=all"; path !== "";) {
      const page = await html(web, path);
      seen.push(...addressesIn(page));
      path = linkTo(page, "next");
    }
    expect(seen).toEqual(services.map((row) => row.address));
  }
});

test("a wrong filter keeps what was typed, names the problem, and lists nothing as if it were the answer", async () => {
  const web = webWith({ services: manyServices(10) });
  const response = await web.request("/?cidr=192.0.2.5/24", SIGNED_IN);
  const page = await response.text();
  expect(response.status).toBe(400);
  expect(page).toContain('value="net:192.0.2.5/24"');
  expect(page).toContain("192.0.2.0/24");
  expect(page).not.toContain("<table");
});

test("no data never looks like nothing open: each empty list says what it rests on", async () => {
  const empty = await html(webWith({}), "/");
  expect(empty).toContain("No open ports known yet");
  expect(empty).toContain("portolan plan add");
  const unscanned = await html(webWith({ plans: ["office"], scanners: 1 }), "/");
  expect(unscanned).toContain("portolan plan start office");
  const noScanner = await html(webWith({ plans: ["office"] }), "/");
  expect(noScanner).toContain("portolan scanner add");
  const uncovered = job({ state: "incomplete", tiles: { total: 8, complete: 0, abandoned: 8 } });
  const nothingCovered = await html(webWith({ plans: ["office"], scanners: 1, jobs: [uncovered] }), "/");
  expect(nothingCovered).toContain("Nothing was covered");
  expect(nothingCovered).toContain("says nothing about the network");
  const quiet = await html(webWith({ plans: ["office"], scanners: 1, jobs: [job()] }), "/");
  expect(quiet).toContain("0 open ports");
  expect(quiet).toContain("Covered and quiet");
  const filtered = await html(webWith({ plans: ["office"], services: [service()], jobs: [job()] }), "/?port=1");
  expect(filtered).toContain("Nothing matches this filter");
});

test("missing services count as open and say so", async () => {
  const page = await html(
    webWith({ services: [service(), service({ port: 80, state: "missing" }), service({ port: 81, state: "closed" })] }),
    "/",
  );
  expect(page).toMatch(/<h1>2 open ports<\/h1>/);
  expect(page).toContain("not yet proven closed");
});

test("a log with a hole and a store that is down are said, not hidden", async () => {
  expect(await html(webWith({ services: [service()], holes: 1 }), "/")).toContain("nothing is closed until");
  const refuse = (): never => {
    throw new PortolanError("unavailable", "the ledger does not answer; start it");
  };
  const down = await webWith({}, { ledger: { ...fakeLedger({}), search: async () => refuse() } }).request("/", SIGNED_IN);
  expect(down.status).toBe(503);
  expect(await down.text()).toContain("the ledger does not answer; start it");
  const withoutRegistry = webWith({ services: [service()] }, { registry: { state: async () => refuse() } });
  const page = await html(withoutRegistry, "/");
  expect(page).toContain("192.0.2.10");
  expect(page).toContain("The registry does not answer");
});

test("a bug shows nothing of its inside", async () => {
  const broken = webWith(
    {},
    { ledger: { ...fakeLedger({}), counts: () => Promise.reject(new Error("secret inside")) }, onBug: () => undefined },
  );
  const response = await broken.request("/", SIGNED_IN);
  expect(response.status).toBe(500);
  expect(await response.text()).not.toContain("secret inside");
});

test("the job page polls itself only while the job runs, and reloads without JavaScript", async () => {
  const running = await html(webWith({ jobs: [job({ state: "running", endedAtMs: null })], shards: [shard()] }), `/jobs/${JOB_ID}`);
  expect(running).toContain(`hx-get="/jobs/${JOB_ID}"`);
  expect(running).toMatch(/<noscript><meta http-equiv="refresh"/);
  expect(running).toContain("41 %");
  const ended = await html(webWith({ jobs: [job()], shards: [shard({ state: "complete" })] }), `/jobs/${JOB_ID}`);
  expect(ended).not.toContain("hx-get");
  expect(ended).not.toContain("http-equiv");
  expect(ended).not.toContain("<script");
});

test("an incomplete job says why, shard by shard, and that nothing was closed by it", async () => {
  const web = webWith({
    jobs: [job({ state: "incomplete", why: "1 tile past the deadline", tiles: { total: 8, complete: 7, abandoned: 1 } })],
    shards: [shard({ state: "partial", attempt: 5, problem: "masscan was killed" })],
  });
  const page = await html(web, `/jobs/${JOB_ID}`);
  for (const words of [
    "1 tile past the deadline",
    "no port was closed because of them",
    "masscan was killed",
    "attempt 5",
    "1 abandoned",
  ]) {
    expect(page).toContain(words);
  }
});

test("an address has one page, whatever way it is written", async () => {
  const web = webWith({ services: [service({ address: "2001:db8::1" })] });
  const other = await web.request("/hosts/2001:0db8:0:0:0:0:0:1", SIGNED_IN);
  expect(other.status).toBe(302);
  expect(other.headers.get("location")).toBe("/hosts/2001%3Adb8%3A%3A1");
  expect(await html(web, "/hosts/2001%3Adb8%3A%3A1")).toContain("443/tcp");
});
