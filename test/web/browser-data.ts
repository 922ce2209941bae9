import { type Change, CHANGE_KINDS, type HeldTile, type Job, type ShardRow } from "../../src/ledger/types.ts";
import { type FakeData, job, JOB_ID, manyServices, service, shard } from "./fixture.ts";

const LONG = "2001:db8:aaaa:bbbb:cccc:dddd:eeee:ffff";
const JOBS: Job[] = [
  job({ state: "running", endedAtMs: null, tiles: { total: 24, complete: 9, abandoned: 1 } }),
  job({
    id: "cd".repeat(32),
    plan: "a-plan-with-the-longest-name-that-fits-0123456789-0123456789-abc",
    state: "incomplete",
    why: "x".repeat(300),
  }),
];
const SHARDS: ShardRow[] = [
  shard(),
  shard({ tile: 1, shard: 2, scanner: "s".repeat(63), state: "partial", problem: "y".repeat(200) }),
  shard({ tile: 2, state: "waiting", percent: null, ratePps: null, found: null, remainingS: null }),
];
const HOST = "192.0.2.77";
const DAY_MS = 86_400_000;
const AT_MS = Date.UTC(2026, 10, 20);
const CHANGES: Change[] = CHANGE_KINDS.map((kind, index) => ({
  n: 9 - index,
  kind,
  address: kind === "job-held" ? null : LONG,
  protocol: kind === "job-held" ? null : "tcp",
  port: kind === "job-held" ? null : 65_535,
  was: null,
  state: kind === "job-held" ? null : "open",
  job: JOB_ID,
  cause: { kind: "part", id: "cd".repeat(32) },
  atMs: AT_MS,
}));
const HELD: HeldTile = {
  job: JOB_ID,
  plan: "office",
  planId: "p",
  home: "eu",
  tile: 3,
  tileComplete: "ab".repeat(32),
  reason: "z".repeat(200),
  heldAtMs: AT_MS,
  look: null,
  next: null,
};
const LABEL = { neverCovered: false, unmonitored: true, stale: false, coveredAtMs: null };
/** The longest texts and every kind of thing that a page may show. */
export const DATA: FakeData = {
  changes: CHANGES,
  held: [HELD],
  totals: [{ scanner: "s".repeat(63), reports: 3, complete: 2, found: 9, probesSent: 4_096, workedMs: 9_000 }],
  labels: { 22: LABEL, 3389: { ...LABEL, unmonitored: false, neverCovered: true } },
  histories: {
    22: {
      intervals: [
        { fromMs: AT_MS - 30 * DAY_MS, toMs: AT_MS - 9 * DAY_MS, state: "open" },
        { fromMs: AT_MS - 9 * DAY_MS, toMs: AT_MS - DAY_MS, state: "missing" },
        { fromMs: AT_MS - DAY_MS, toMs: null, state: "closed" },
      ],
      turns: [],
      sinceMs: null,
    },
  },
  services: [
    service({ address: HOST, port: 22, state: "closed" }),
    service({ address: HOST, port: 3389, reopened: true, known: true }),
    service({ address: LONG, seenBy: ["eu", "us", "ap", "r".repeat(63)] }),
    ...manyServices(120),
  ],
  jobs: JOBS,
  shards: SHARDS,
  plans: ["office"],
  scanners: 2,
};
/** One of each page. */
export const PAGES = [
  "/",
  "/?state=closed&cidr=192.0.2.0/24&port=443",
  "/?q=net:2001:db8:aaaa:bbbb:cccc:dddd:eeee:ffff,192.0.2.0/24+-port:1-21,23-24,26-52+known:show+seen:<24h&sort=-address",
  "/?q=port:1",
  `/hosts/${encodeURIComponent(LONG)}`,
  "/jobs",
  `/jobs/${JOB_ID}`,
  `/jobs/${"cd".repeat(32)}`,
  "/changes",
  "/changes?show=closed",
  "/hosts/192.0.2.5/22/tcp",
  "/hosts/192.0.2.77",
  "/login",
];
