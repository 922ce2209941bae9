import { afterAll, beforeAll, expect, test } from "vitest";
import { z } from "zod";
import type { DenyRow } from "../../src/ledger/denies.ts";
import type { ImportRow, LegacyJob } from "../../src/ledger/types.ts";
import { AT_LAST, steps } from "./documented-steps.ts";
import { type Evidence, startEvidence } from "./evidence.ts";
import { JOB, JOB_ID, startTestApi, type TestApi } from "./harness.ts";

type Media = { schema: object };
type Operation = { responses: Record<string, { content?: Record<string, Media> }> };
type Document = { paths: Record<string, Record<string, Operation>>; components: { schemas: object } };

let api: TestApi;
let evidence: Evidence;

const DENY: DenyRow = {
  id: JOB_ID,
  ranges: ["192.0.2.9"],
  ports: null,
  reason: "an incident",
  by: "admin",
  atMs: 1,
  expiresAtMs: null,
  lifted: null,
};
const IMPORT: ImportRow = {
  id: "ab",
  source: "cron",
  format: "lines",
  counts: { read: 1, sightings: 1, notOpen: 0, banners: 0, refused: 0, reasons: {}, examples: [] },
  records: 1,
  held: 1,
  waiting: 0,
  createdAtMs: 1,
};
const LEGACY: LegacyJob = {
  number: 1,
  cidr: "192.0.2.0/24",
  ports: "80",
  protocol: "tcp",
  requestedBy: "ops",
  state: "open",
  createdAtMs: 1,
  expiresAtMs: null,
  receivedAtMs: null,
};

beforeAll(async () => {
  [api, evidence] = await Promise.all([startTestApi(), startEvidence()]);
  const { ledger } = evidence;
  Object.assign(api.ledger, {
    why: ledger.why,
    jobSpec: ledger.jobSpec,
    listTiles: ledger.listTiles,
    listShards: ledger.listShards,
    listReports: ledger.listReports,
    heldTiles: ledger.heldTiles,
    scannerTotals: ledger.scannerTotals,
    vantages: ledger.vantages,
    history: ledger.history,
    openAt: ledger.openAt,
    diff: ledger.diff,
    host: ledger.host,
    listChanges: ledger.listChanges,
    job: async (id: string) => ({ ...JOB, id, tiles: { total: 1, complete: 1, abandoned: 0 } }),
    deny: async () => DENY,
    listDenies: async () => ({ items: [DENY], next: null }),
    importOf: async () => IMPORT,
    legacyJobs: async () => [LEGACY],
    legacyJob: async () => LEGACY,
    traceroute: async () => ({ address: "192.0.2.1", region: "eu", source: "de01", path: "1  192.0.2.254", atMs: 1 }),
    awaitCommand: async () => ({ ok: true, result: { job: JOB_ID, deny: JOB_ID, number: 1, released: 1, services: 1, records: 1 } }),
  });
});

afterAll(async () => {
  await api.close();
  evidence.close();
});

/** The documented path that a request belongs to: the one with the fewest parameters. */
function documentedAs(paths: readonly string[], path: string): string | undefined {
  const fits = (template: string): boolean => new RegExp(`^${template.replaceAll(".", "\\.").replaceAll(/\{\w+\}/g, "[^/]+")}$`).test(path);
  return paths.filter(fits).toSorted((a, b) => a.split("{").length - b.split("{").length)[0];
}

/** What is wrong with an answer by the document, null when nothing is. */
async function wrongWith(document: Document, response: Response, documented: Operation | undefined): Promise<string | null> {
  const told = documented?.responses[String(response.status)];
  if (told === undefined) return `${response.status} is not documented`;
  const type = (response.headers.get("content-type") ?? "").replace(/;.*/, "");
  // Streams have no end within a test.
  if (type === "text/event-stream") await response.body?.cancel();
  const text = type === "text/event-stream" ? "" : await response.text();
  if (told.content === undefined) return text === "" ? null : "it has no documented body";
  const media = told.content[type];
  if (media === undefined) return `${type} is not documented`;
  if (type !== "application/json") return null;
  const schema = JSON.parse(
    JSON.stringify({ ...media.schema, $defs: document.components.schemas }).replaceAll("#/components/schemas/", "#/$defs/"),
  ) as Parameters<typeof z.fromJSONSchema>[0];
  const checked = z.fromJSONSchema(schema).safeParse(JSON.parse(text));
  return checked.success ? null : z.prettifyError(checked.error);
}

test("every documented success is given by a request of this test, and its body is as documented", async () => {
  const document = (await (await api.ask("GET", "/openapi.json", { role: null })).json()) as Document;
  const paths = Object.keys(document.paths);
  const seen = new Set<string>();
  const wrong: string[] = [];
  let id = "";
  let whole = "";
  for (const [request, status, body, headers = {}] of [...steps(evidence.jobs[1] ?? ""), ...AT_LAST]) {
    const [method = "", path = ""] = request.replace("{x}", id).split(" ");
    if (method === "POST" && path.startsWith("/v1/imports"))
      api.ledger.importOf = async () => ({ ...IMPORT, held: status === 200 ? 1 : 0, waiting: 1 });
    if (path.startsWith("/readyz")) api.ledger.frontier = status === 200 ? async () => ({}) : () => Promise.reject(new Error("away"));
    const options = body === undefined ? {} : { body: body === "{whole}" ? whole : body };
    const response = await api.ask(method, path, { ...options, headers });
    const kept = response.headers.get("content-type") === "text/event-stream" ? null : response.clone();
    const template = documentedAs(paths, path.replace(/\?.*/, ""));
    const problem = await wrongWith(document, response, document.paths[template ?? ""]?.[method.toLowerCase()]);
    const text = (await kept?.text()) ?? "";
    if (path.endsWith(".ndjson")) whole = text;
    id = /^\{"id":"([^"]+)"/.exec(text)?.[1] ?? /"id":"([^"]+)"/.exec(text)?.[1] ?? id;
    if (response.status !== status) wrong.push(`${request}: ${response.status} ${text.slice(0, 300)}`);
    else if (problem !== null) wrong.push(`${request}: ${problem}`);
    seen.add(`${method} ${template} ${response.status}`);
  }
  expect(wrong).toEqual([]);
  const documented = Object.entries(document.paths).flatMap(([path, of]) =>
    Object.entries(of).flatMap(([method, { responses }]) =>
      Object.keys(responses)
        .filter((status) => status !== "default")
        .map((status) => `${method.toUpperCase()} ${path} ${status}`),
    ),
  );
  expect(documented.filter((answer) => !seen.has(answer))).toEqual([]);
  expect(api.bugs.length).toBeLessThanOrEqual(1);
});
