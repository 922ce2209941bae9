import { publicKey } from "../registry/harness.ts";
import { JOB_ID } from "./harness.ts";

/** A request and the status that it is answered with. `{x}` in a path is the `id` of the answer before. */
export type Step = readonly [request: string, status: number, body?: unknown, headers?: Record<string, string>];

const RULE = { ranges: ["192.0.2.10"], owner: "web", reason: "public" };
const HOOK = { name: "pager", url: "https://hooks.example.org/x", events: ["service.opened"] };
const SERVICE = "/v1/services/192.0.2.5/tcp/22";
const LISTS = ["range-groups", "exclusions", "known-good", "scanners", "groups", "plans"];
const FORM = { "content-type": "multipart/form-data; boundary=x" };
const TRACEROUTE = [
  '--x\r\ncontent-disposition: form-data; name="dest"\r\n\r\n192.0.2.1',
  '--x\r\ncontent-disposition: form-data; name="traceroute"; filename="t"\r\ncontent-type: text/plain\r\n\r\n 1  192.0.2.254',
  "--x--\r\n",
].join("\r\n");

/** Requests that together get every documented success; `job` has ended in the ledger behind them. */
export function steps(job: string): Step[] {
  const again = (step: Step): Step[] => [step, [step[0], 200, step[2]]];
  return [
    ["GET /healthz", 200],
    ["GET /readyz", 200],
    ["GET /version", 200],
    ["GET /v1/me", 200],
    ...again(["POST /v1/regions", 201, { name: "us" }]),
    ["GET /v1/regions", 200],
    ["GET /v1/regions/us", 200],
    ["PATCH /v1/regions/us", 200, { latitude: 39, longitude: -77.5 }],
    ["DELETE /v1/regions/us", 200],
    ...again(["POST /v1/range-groups", 201, { name: "lan", ranges: ["192.0.2.0/25"] }]),
    ["GET /v1/range-groups", 200],
    ["GET /v1/range-groups/lan", 200],
    ["GET /v1/range-groups/lan/ranges", 200],
    ["POST /v1/range-groups/lan/ranges", 200, { ranges: ["198.51.100.0/24"] }],
    ["DELETE /v1/range-groups/lan/ranges?range=198.51.100.0/24", 200],
    ["PUT /v1/range-groups/lan/ranges", 200, { ranges: ["192.0.2.0/24"] }],
    ...["exclusions", "known-good"].flatMap((list): Step[] => [
      [`POST /v1/${list}`, 201, RULE],
      [`POST /v1/${list}`, 200, RULE],
      [`GET /v1/${list}`, 200],
      [`POST /v1/${list}`, 200, RULE],
      [`GET /v1/${list}/{x}`, 200],
      [`PATCH /v1/${list}/{x}`, 200, { reason: "still public" }],
    ]),
    ["POST /v1/deny", 201, { ranges: ["192.0.2.9"], reason: "an incident" }],
    ["GET /v1/deny", 200],
    [`GET /v1/deny/${JOB_ID}`, 200],
    [`POST /v1/deny/${JOB_ID}/lift`, 200, { reason: "over" }],
    ...again(["POST /v1/scanners", 201, { name: "de02", region: "eu", addresses: ["192.0.2.251"], publicKey: publicKey(1) }]),
    ["GET /v1/scanners", 200],
    ["GET /v1/scanners/de02", 200],
    ["PATCH /v1/scanners/de02", 200, { enabled: false }],
    ...again(["POST /v1/groups", 201, { name: "pair", members: [] }]),
    ["GET /v1/groups", 200],
    ["GET /v1/groups/pair", 200],
    ["POST /v1/groups/pair/members", 200, { scanner: "de01" }],
    ["PUT /v1/groups/pair/members", 200, { members: [{ scanner: "de01" }] }],
    ["POST /v1/plans/preview", 200, { name: "office", include: ["lan"], ports: "80" }],
    ...again(["POST /v1/plans", 201, { name: "office", include: ["lan"], ports: "80", every: "6h" }]),
    ["GET /v1/plans", 200],
    ["GET /v1/plans/office", 200],
    ["GET /v1/plans/office/preview", 200],
    ["PATCH /v1/plans/office", 200, { ports: "22,80" }],
    ["POST /v1/plans/office/jobs", 201],
    ...LISTS.flatMap((list): Step[] => [
      ...["csv", "txt"].map((format): Step => [`GET /v1/${list}.${format}`, 200]),
      [`GET /v1/${list}.ndjson`, 200],
      [`POST /v1/${list}/import?dryRun=true`, 200, "{whole}", { "content-type": "application/x-ndjson" }],
    ]),
    ["DELETE /v1/plans/office", 200],
    ["DELETE /v1/groups/pair/members/de01", 200],
    ["DELETE /v1/groups/pair", 200],
    ["DELETE /v1/scanners/de02", 200],
    ["DELETE /v1/range-groups/lan", 200],
    ...["exclusions", "known-good"].flatMap((list): Step[] => [
      [`POST /v1/${list}`, 201, { ...RULE, ranges: ["192.0.2.11"] }],
      [`DELETE /v1/${list}/{x}`, 200],
    ]),
    ["GET /v1/jobs", 200],
    [`GET /v1/jobs/${job}`, 200],
    ...["tiles", "shards", "held", "reports", "accounting"].map((part): Step => [`GET /v1/jobs/${job}/${part}`, 200]),
    ...["pause", "resume", "release", "tiles/0/release"].map((part): Step => [`POST /v1/jobs/${job}/${part}`, 200]),
    [`POST /v1/jobs/${job}/cancel`, 200, { reason: "a test" }],
    ["GET /v1/services", 200],
    ["GET /v1/services/facets", 200],
    ["GET /v1/services/summary", 200],
    ...["json", "ndjson", "csv", "txt", "nmap.xml", "masscan.json"].map((format): Step => [`GET /v1/services.${format}`, 200]),
    ["GET /v1/hosts/192.0.2.5", 200],
    [`GET ${SERVICE}/why`, 200],
    [`GET ${SERVICE}/history`, 200],
    ["GET /v1/history/open?asOf=2024-01-01T00:00:00Z", 200],
    [`GET /v1/diff?from=2020-01-01&to=job:${job}`, 200],
    ["GET /v1/changes", 200],
    ["GET /v1/changes/stream", 200],
    ["GET /v1/ledger", 200],
    ["POST /v1/ledger/rebuild", 200],
    ["POST /v1/imports?format=lines", 200, "192.0.2.1:80\n", { "content-type": "application/octet-stream" }],
    ["GET /v1/imports/ab", 200],
    ["POST /v1/range-groups", 201, { name: "old", ranges: ["203.0.113.0/24"] }],
    ["POST /v1/legacy-jobs", 201, { cidr: "203.0.113.0/24", ports: "80" }],
    ["GET /v1/legacy-jobs", 200],
    ["POST /results", 200, "[]"],
    ["PUT /results/1", 200, "[]"],
    ["GET /jobs", 200],
    ["DELETE /v1/legacy-jobs/1", 200],
    ["POST /traceroute", 201, TRACEROUTE, FORM],
    ["GET /traceroute/192.0.2.1", 200],
    ["POST /v1/tokens", 201, { name: "ci", role: "viewer" }],
    ["GET /v1/tokens", 200],
    ["POST /v1/tokens", 201, { name: "ci2", role: "viewer" }],
    ["GET /v1/tokens/{x}", 200],
    ["DELETE /v1/tokens/{x}", 200],
    ["GET /v1/audit", 200],
    ["POST /v1/webhooks", 201, HOOK],
    ["GET /v1/webhooks", 200],
    ["GET /v1/webhooks/pager", 200],
    ["PATCH /v1/webhooks/pager", 200, { events: ["job.ended"] }],
    ["POST /v1/webhooks/pager/secret", 201],
    ["DELETE /v1/webhooks/pager", 200],
  ];
}

/** The keeper has not come to it, and a store is away. */
export const AT_LAST: readonly Step[] = [
  ["POST /v1/imports?format=lines", 202, "192.0.2.1:81\n", { "content-type": "application/octet-stream" }],
  ["GET /readyz", 503],
];
