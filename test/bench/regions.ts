import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { formatAddress, parseAddress } from "../../src/core/address.ts";
import type { Sighting } from "../../src/core/columns.ts";
import { httpDatabase } from "../../src/ledger/database.ts";
import { makeLayout, readPorts } from "../../src/local/layout.ts";
import type { Region } from "../../src/local/region.ts";
import { type Regions, startRegions } from "../../src/local/regions.ts";
import { Link } from "../e2e/faults-links.ts";
import { type BenchScanner, playScanner } from "./bench-scanner.ts";
import type { BenchLine, BenchResult } from "./result.ts";

const NAMES = ["eu", "us", "ap"] as const;
const SIGHTINGS = 300;
const RECORDS = [25_000, 50_000, 100_000];
const LAG_P99_MS = 250;
/** The largest catch-up may take this many times as long for each record as the smallest; a square law would take four times for each doubling twice. */
const LINEAR_MAX = 1.5;
const PAUSE_MS = 20;
const ARRIVES_MS_MAX = 30_000;
const CATCH_UP_MS_MAX = 1_800_000;
/** The keeper commits what comes together; a real scanner sends fewer at a time. */
const IN_FLIGHT = 64;
const CHUNK = 5_000;

type Bench = { readonly regions: Regions; readonly scanner: BenchScanner; readonly link: Link; next: number };

/**
 * Three regions with everything real, a scanner of `eu` played by the bench. A sighting is one record: from its receipt in `eu` to its first
 * reading through the APIs of the others; and how long `us` needs for the records that it missed while the link was cut.
 */
export async function benchRegions({
  sightings = SIGHTINGS,
  records = RECORDS,
}: { sightings?: number; records?: readonly number[] } = {}): Promise<BenchResult> {
  const dir = mkdtempSync(join(tmpdir(), "portolan-bench-"));
  const link = await Link.open(() => readPorts(makeLayout(join(dir, "data/eu")), "eu").nats ?? 1);
  let regions: Regions | null = null;
  let scanner: BenchScanner | null = null;
  try {
    regions = await startRegions({
      dir: join(dir, "data"),
      regions: NAMES.map((name, k) => {
        const peers = name === "us" ? { eu: { natsUrl: `nats://127.0.0.1:${link.port}` } } : {};
        return { name, scanners: [], latitude: 0, longitude: k * 90, peers };
      }),
      backups: false,
    });
    scanner = await playScanner(regions.region("eu"));
    const bench: Bench = { regions, scanner, link, next: 0 };
    const lag = await lags(bench, sightings);
    const caughtUp = await catchUps(bench, records);
    return { bench: "regions", lines: [...lag, ...caughtUp], notes: notesOf(sightings) };
  } finally {
    await scanner?.close();
    await regions?.stop();
    await link.stop();
    rmSync(dir, { recursive: true, force: true });
  }
}

function notesOf(sightings: number): string[] {
  return [
    `lag: ${sightings} sightings one after the other, each a signed record of its own, from the receipt in eu to the first answer of the other region's API that shows it (cache passed by)`,
    "catch-up: records of one sighting each, accepted in eu while us could not reach it, from the healing of the link until us holds the last one",
  ];
}

const FIRST = parseAddress("10.0.0.0");

function nextSightings(bench: Bench, count: number): Sighting[][] {
  return Array.from({ length: count }, () => [
    { address: FIRST + BigInt(bench.next++), protocol: "tcp" as const, port: 443, observedAtS: 1_700_000_000 },
  ]);
}

async function lags(bench: Bench, count: number): Promise<BenchLine[]> {
  const job = await bench.scanner.startJob("lag");
  const ms = { us: [] as number[], ap: [] as number[] };
  const parts = nextSightings(bench, count);
  for (const [index, message] of bench.scanner.messages(job, parts, 0).entries()) {
    const address = formatAddress(parts[index]?.[0]?.address ?? FIRST);
    await bench.scanner.send([message]);
    const acceptedMs = performance.now();
    await Promise.all(
      (["us", "ap"] as const).map(async (name) => ms[name].push((await readable(bench.regions.region(name), address)) - acceptedMs)),
    );
    await delay(PAUSE_MS);
  }
  return (["us", "ap"] as const).flatMap((name) => [
    { what: `accepted in eu → readable in ${name}: p50`, value: quantile(ms[name], 0.5), unit: "ms", budget: null } as const,
    {
      what: `accepted in eu → readable in ${name}: p99`,
      value: quantile(ms[name], 0.99),
      unit: "ms",
      budget: { atMost: LAG_P99_MS },
    } as const,
  ]);
}

/** When the region's API has shown a service of this address. */
async function readable(region: Region, address: string): Promise<number> {
  const headers = { authorization: `Bearer ${region.adminToken}`, "cache-control": "no-cache" };
  for (const deadlineMs = performance.now() + ARRIVES_MS_MAX; performance.now() < deadlineMs;) {
    const response = await fetch(`${region.apiUrl}/v1/hosts/${address}`, { headers, signal: AbortSignal.timeout(5_000) });
    const text = await response.text();
    if (response.ok && text.includes('"state":"open"')) return performance.now();
  }
  throw new Error(`${address} did not arrive in ${region.name} within ${ARRIVES_MS_MAX} ms`);
}

async function catchUps(bench: Bench, sizes: readonly number[]): Promise<BenchLine[]> {
  const each: number[] = [];
  const lines: BenchLine[] = [];
  for (const size of sizes) {
    const seconds = await catchUp(bench, size);
    each.push(seconds / size);
    lines.push({ what: `catch-up of ${size.toLocaleString("en")} records`, value: seconds, unit: "s", budget: null });
    lines.push({ what: `catch-up of ${size.toLocaleString("en")} records: rate`, value: size / seconds, unit: "rows/s", budget: null });
  }
  const growth = (each.at(-1) ?? 0) / (each[0] ?? 1);
  return [...lines, { what: "time for each record, largest to smallest", value: growth, unit: "×", budget: { atMost: LINEAR_MAX } }];
}

async function catchUp(bench: Bench, size: number): Promise<number> {
  const job = await bench.scanner.startJob(`catch-up-${size}`);
  await bench.link.cut("refused");
  // Ap would pass on to us what us cannot read from eu.
  const ap = bench.regions.region("ap").child("nats");
  await ap.stop();
  for (let done = 0; done < size; done += CHUNK) {
    const parts = nextSightings(bench, Math.min(CHUNK, size - done));
    await bench.scanner.send(bench.scanner.messages(job, parts, done), IN_FLIGHT);
  }
  const wanted = await heldUpTo(bench.regions.region("eu"));
  await bench.link.heal("reset");
  const seconds = await holds(bench.regions.region("us"), wanted);
  await ap.start();
  // It has to catch up, too, and must not disturb the next measurement.
  await holds(bench.regions.region("ap"), wanted);
  return seconds;
}

/** Seconds until a region holds the log of `eu` up to this number. */
async function holds(region: Region, wanted: number): Promise<number> {
  const beganMs = performance.now();
  while ((await heldUpTo(region)) < wanted) {
    if (performance.now() - beganMs > CATCH_UP_MS_MAX) throw new Error(`${region.name} did not catch up within ${CATCH_UP_MS_MAX} ms`);
    await delay(100);
  }
  return (performance.now() - beganMs) / 1_000;
}

/** Number up to which a region's ledger holds the log of `eu`. */
async function heldUpTo({ ledgerUrl }: Region): Promise<number> {
  const database = httpDatabase({ url: ledgerUrl });
  try {
    const [rows] = await database.batch([{ sql: "select coalesce(max(prefix), -1) as n from log where region = 'eu'" }], "read");
    return Number(rows?.[0]?.["n"]);
  } finally {
    database.close();
  }
}

function quantile(values: readonly number[], part: number): number {
  return values.toSorted((a, b) => a - b)[Math.min(values.length - 1, Math.floor(values.length * part))] ?? 0;
}
