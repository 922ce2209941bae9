import { existsSync, readFileSync } from "node:fs";
import { chromium, type Browser, type Page } from "playwright-core";
import { afterAll, beforeAll, expect, test } from "vitest";
import type { Job, ShardRow } from "../../src/ledger/types.ts";
import { type Evidence, startEvidence } from "../api/evidence.ts";
import { DATA, PAGES } from "./browser-data.ts";
import { fakeLedger, job, JOB_ID, shard, TOKEN, webWith } from "./fixture.ts";
import { servePages, type Served } from "./serve.ts";

const PLACES = ["/usr/bin/chromium", "/usr/bin/chromium-browser", "/usr/bin/google-chrome"];
const executablePath = process.env["PORTOLAN_CHROMIUM"] ?? PLACES.find((place) => existsSync(place));
const ARGS = [
  "--no-sandbox",
  "--disable-gpu",
  "--disable-quic",
  "--no-first-run",
  "--disable-background-networking",
  "--disable-component-update",
  "--disable-sync",
];

let browser: Browser;
let evidence: Evidence;
let full: Served;
let empty: Served;

beforeAll(async () => {
  if (executablePath === undefined) throw new Error("no chromium: install it (apt-get install chromium), or name it in PORTOLAN_CHROMIUM");
  evidence = await startEvidence();
  const spec = await evidence.ledger.jobSpec(evidence.jobs[0] ?? "");
  const data = spec === null ? DATA : { ...DATA, spec };
  const ledger = { ...fakeLedger(data), why: evidence.ledger.why };
  [full, empty] = await Promise.all([servePages(webWith(data, { ledger })), servePages(webWith({}))]);
  browser = await chromium.launch({ executablePath, args: ARGS });
});
afterAll(async () => {
  await browser?.close();
  await full?.close();
  await empty?.close();
  evidence?.close();
});

type Visit = { readonly page: Page; readonly complaints: string[]; close(): Promise<void> };

async function open(options: { url: string; width: number; scheme?: "light" | "dark"; javaScriptEnabled?: boolean }): Promise<Visit> {
  const context = await browser.newContext({
    viewport: { width: options.width, height: 800 },
    colorScheme: options.scheme ?? "light",
    javaScriptEnabled: options.javaScriptEnabled ?? true,
  });
  await context.addCookies([{ name: "portolan_token", value: TOKEN, url: options.url }]);
  const page = await context.newPage();
  const complaints: string[] = [];
  page.on("console", (message) => {
    if (message.type() === "error" || message.type() === "warning") complaints.push(`${page.url()}: ${message.text()}`);
  });
  page.on("pageerror", (error) => complaints.push(`${page.url()}: ${error.message}`));
  page.on("response", (response) => {
    if (response.url().includes("/static/") && response.status() >= 400) complaints.push(`${response.url()}: ${response.status()}`);
  });
  return { page, complaints, close: () => context.close() };
}

test("no page scrolls sideways at 320 px, none complains on the console or breaks its own policy, light and dark", async () => {
  for (const scheme of ["light", "dark"] as const) {
    for (const width of [320, 760, 1280]) {
      const visit = await open({ url: full.url, width, scheme });
      for (const path of PAGES) {
        await visit.page.goto(full.url + path);
        const widest = await visit.page.evaluate(() => document.documentElement.scrollWidth);
        expect([path, width, widest <= width]).toEqual([path, width, true]);
      }
      await visit.page.goto(empty.url + "/login");
      expect(visit.complaints).toEqual([]);
      await visit.close();
    }
  }
});

/** Contrast of each text against what is painted behind it, by the formula of WCAG 2. */
function lowContrasts(): string[] {
  const parse = (color: string): number[] => (/[\d.]+/g.exec(color) === null ? [] : (color.match(/[\d.]+/g) ?? []).map(Number));
  const luminance = (rgb: number[]): number => {
    const [r, g, b] = rgb.map((value) => (value / 255 <= 0.03928 ? value / 255 / 12.92 : ((value / 255 + 0.055) / 1.055) ** 2.4));
    return 0.2126 * (r ?? 0) + 0.7152 * (g ?? 0) + 0.0722 * (b ?? 0);
  };
  const behind = (element: Element | null): number[] => {
    for (let at = element; at !== null; at = at.parentElement) {
      const color = parse(getComputedStyle(at).backgroundColor);
      if (color.length === 3 || (color[3] ?? 0) > 0.99) return color.slice(0, 3);
    }
    return [255, 255, 255];
  };
  const low: string[] = [];
  for (const element of document.body.querySelectorAll("*")) {
    const text = [...element.childNodes].filter((node) => node.nodeType === Node.TEXT_NODE && (node.textContent ?? "").trim() !== "");
    if (text.length === 0 || element.closest(".visually-hidden, option") !== null) continue;
    const [a, b] = [luminance(parse(getComputedStyle(element).color).slice(0, 3)), luminance(behind(element))];
    const ratio = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
    if (ratio < 4.5) low.push(`${element.tagName}.${element.className} ${ratio.toFixed(2)}: ${(text[0]?.textContent ?? "").slice(0, 30)}`);
  }
  return low;
}

test("every text has a contrast of at least 4.5 to 1, light and dark", async () => {
  for (const scheme of ["light", "dark"] as const) {
    const visit = await open({ url: full.url, width: 1280, scheme });
    for (const url of [...PAGES.map((path) => full.url + path), `${full.url}/?port=x`, `${full.url}/jobs/none`, `${empty.url}/`]) {
      await visit.page.context().addCookies([{ name: "portolan_token", value: TOKEN, url: empty.url }]);
      await visit.page.goto(url);
      expect([scheme, url, await visit.page.evaluate(lowContrasts)]).toEqual([scheme, url, []]);
    }
    await visit.close();
  }
});

test("every control has a name, every page one H1 and a main landmark, and the skip link comes first", async () => {
  const visit = await open({ url: full.url, width: 1280 });
  for (const path of PAGES) {
    await visit.page.goto(full.url + path);
    expect(await visit.page.locator("h1").count()).toBe(1);
    expect(await visit.page.locator("main").count()).toBe(1);
    expect(await visit.page.locator("table:not(:has(caption))").count()).toBe(0);
    const nameless = await visit.page.evaluate(() =>
      [...document.querySelectorAll("a, button, input:not([type=hidden]):not([hidden]), select, progress")]
        .filter((element) => {
          const label = element.id === "" ? null : document.querySelector(`label[for="${element.id}"]`);
          return (element.textContent ?? "").trim() === "" && label === null && (element.getAttribute("aria-label") ?? "") === "";
        })
        .map((element) => element.outerHTML),
    );
    expect(nameless).toEqual([]);
    await visit.page.keyboard.press("Tab");
    expect(await visit.page.evaluate(() => document.activeElement?.textContent?.trim())).toBe("Skip to content");
  }
  await visit.close();
});

test("signing in, filtering, paging and signing out work without JavaScript", async () => {
  const visit = await open({ url: full.url, width: 1000, javaScriptEnabled: false });
  const { page } = visit;
  await page.context().clearCookies();
  await page.goto(`${full.url}/jobs`);
  await page.getByLabel("Token").fill(TOKEN);
  await page.getByRole("button", { name: "Sign in" }).click();
  expect(new URL(page.url()).pathname).toBe("/jobs");
  await page.getByRole("link", { name: "Ports" }).click();
  await page.getByLabel("Filter", { exact: true }).fill("80 state:open,missing,closed");
  await page.getByLabel("Order").selectOption("-address");
  await page.getByRole("button", { name: "Filter" }).click();
  expect(new URL(page.url()).searchParams.get("q")).toBe("80 state:open,missing,closed");
  expect(await page.locator("tbody tr").count()).toBeGreaterThan(0);
  expect((await page.locator("td.cell-port").allInnerTexts()).every((text) => text.startsWith("80/"))).toBe(true);
  await page.getByRole("link", { name: "Remove filter port:80" }).click();
  await page.getByRole("link", { name: "Next" }).click();
  await page.getByRole("link", { name: "Previous" }).click();
  expect(new URL(page.url()).searchParams.get("cursor")).toBeNull();
  await page.getByRole("button", { name: "Sign out" }).click();
  expect(new URL(page.url()).pathname).toBe("/login");
  await page.goto(`${full.url}/`);
  expect(new URL(page.url()).pathname).toBe("/login");
  await visit.close();
});

test("the job page follows the job by itself, survives a moment without the store, leaves selected text alone, and stops when it has ended", async () => {
  const data: { jobs: Job[]; shards: ShardRow[] } = {
    jobs: [job({ state: "running", endedAtMs: null })],
    shards: [shard({ percent: 10 })],
  };
  let isDown = false;
  let requests = 0;
  const ledger = fakeLedger(data);
  const counted = {
    ...ledger,
    job: async (id: string) => {
      requests++;
      if (isDown) throw new Error("away");
      return data.jobs.find((row) => row.id === id) ?? null;
    },
    listShards: async () => ({ items: data.shards, next: null }),
  };
  const served = await servePages(webWith(data, { ledger: counted }));
  const visit = await open({ url: served.url, width: 1000 });
  try {
    await visit.page.clock.install();
    await visit.page.goto(`${served.url}/jobs/${JOB_ID}`);
    await visit.page.getByText("10 %").waitFor();
    const status = visit.page.getByRole("status");
    expect(await status.innerText()).toBe("running, 8 of 8 tiles complete, 0 abandoned");
    await visit.page.getByText("de01").evaluate((cell) => getSelection()?.selectAllChildren(cell));
    isDown = true;
    const before = requests;
    await expect.poll(() => requests).toBeGreaterThan(before);
    expect(await visit.page.getByText("10 %").count()).toBe(1);
    isDown = false;
    data.shards = [shard({ percent: 55 })];
    await visit.page.getByText("55 %").waitFor();
    data.jobs = [job()];
    data.shards = [shard({ state: "complete", percent: 100 })];
    await visit.page.locator(".facts .state-complete").waitFor();
    expect(await visit.page.locator("[hx-get]").count()).toBe(0);
    expect(await status.innerText()).toBe("complete, 8 of 8 tiles complete, 0 abandoned");
    expect(await visit.page.evaluate(() => String(getSelection()))).toBe("de01");
    const atEnd = requests;
    await visit.page.clock.runFor(60_000);
    expect(requests).toBe(atEnd);
    expect(visit.complaints.filter((text) => !text.includes("500"))).toEqual([]);
  } finally {
    await visit.close();
    await served.close();
  }
});

test("the script in src/web/public/static is the very file of the package", () => {
  const own = readFileSync(new URL("../../src/web/public/static/htmx.min.js", import.meta.url), "utf8");
  expect(own).toBe(readFileSync(new URL("../../node_modules/htmx.org/dist/htmx.min.js", import.meta.url), "utf8"));
});
