import { addressToHex, parseAddress } from "../core/address.ts";
import { decodeSightingRows } from "../core/columns.ts";
import type { ConfirmFact, CoverFact, ServiceFacts, SightingFact, Span, StampedPosition } from "../core/history/facts.ts";
import { protocolNumber } from "../core/port.ts";
import { type Database, numberOf, type SqlRow, textOf } from "./database.ts";
import { COMPLETES, CONFIRMS, COVERS, JOBS, NEEDS, PAYLOADS, SEEN } from "./history-sql.ts";
import { readNumbered, type StoredReader } from "./stored.ts";
import type { Service } from "./types.ts";

/** What the newest records say about a service. `sinceMs`: when there are too many of them, from when on the facts are whole. */
export type LoadedFacts = { readonly facts: ServiceFacts; readonly sinceMs: number | null };

type ServiceId = Pick<Service, "address" | "protocol" | "port">;

/** Jobs that are looked at for one service, newest first; records with sightings that are read for one page. */
const COVERS_MAX = 300;
const PAYLOADS_MAX = 3_000;
const PAYLOADS_PER_READ = 16;
/** The longest sequence of misses that a policy can ask for: what the facts lack cannot matter behind that many covers. */
const CLOSE_AFTER_MAX = 10;

/** The facts about some services, in their order, from the records that concern them: jobs whose tiles hold them, their parts, probes, uploads. */
export async function loadFacts(database: Database, services: readonly ServiceId[], reader: StoredReader): Promise<LoadedFacts[]> {
  const ids = services.map(({ address, protocol, port }) => [addressToHex(parseAddress(address)), port, protocolNumber(protocol)] as const);
  const keys = JSON.stringify(ids);
  const [coverRows = [], confirmRows = [], seenRows = []] = await database.batch(
    [
      { sql: COVERS, args: [keys, COVERS_MAX + 1] },
      { sql: CONFIRMS, args: [keys] },
      { sql: SEEN, args: [keys] },
    ],
    "read",
  );
  const tiles = [...new Set(coverRows.map(tileOf))];
  const pairs = JSON.stringify(tiles.map((tile) => tile.split("/")).map(([job, tile]) => [job, Number(tile)]));
  const covers = await loadCovers(database, tiles, pairs);
  const read = await readSightings(database, { pairs, keys, wanted: ids.map((id) => id.join("/")) }, reader);
  return services.map((_, index) => {
    const mine = (row: SqlRow): boolean => numberOf(row, "service") === index;
    const held = coverRows.filter(mine).map(tileOf);
    const used = held.slice(0, COVERS_MAX).flatMap((tile) => covers.get(tile) ?? []);
    const sightings = [...seenRows.filter(mine).map(seenOf), ...(read.sightings.get(index) ?? [])];
    const facts = { sightings, covers: used, confirms: confirmRows.filter(mine).flatMap(confirmOf) };
    return { facts, sinceMs: sinceOf(held.length > COVERS_MAX ? used : null, read.sinceMs) };
  });
}

function tileOf(row: SqlRow): string {
  return `${textOf(row, "job")}/${numberOf(row, "tile")}`;
}

function seenOf(row: SqlRow): SightingFact {
  const region = row["region"];
  return { ...positionOf([row["log"], row["rseq"], row["stamp_ms"]]), region: typeof region === "string" ? region : null };
}

function positionOf([log, rseq, stampMs]: readonly unknown[]): StampedPosition {
  return { log: String(log), rseq: Number(rseq), stampMs: Number(stampMs) };
}

/** Where the facts begin to be whole: behind as many covers as can matter, and behind the oldest record that was read. */
function sinceOf(cut: readonly CoverFact[] | null, readSinceMs: number | null): number | null {
  const begins = (cut ?? []).flatMap(({ looks }) => looks.map(({ fromMs }) => fromMs)).toSorted((a, b) => a - b);
  const coversSinceMs = cut === null ? null : (begins[CLOSE_AFTER_MAX] ?? begins.at(-1) ?? 0);
  if (coversSinceMs === null || readSinceMs === null) return coversSinceMs ?? readSinceMs;
  return Math.max(coversSinceMs, readSinceMs);
}

/** Each tile's cover, by "job/tile". */
async function loadCovers(database: Database, tiles: readonly string[], pairs: string): Promise<Map<string, CoverFact>> {
  const statements = [JOBS, COMPLETES, NEEDS].map((sql) => ({ sql, args: [pairs] }));
  const [jobs = [], completes = [], needs = []] = tiles.length === 0 ? [] : await database.batch(statements, "read");
  const needsOf = new Map<string, SqlRow[]>();
  for (const row of needs) needsOf.set(textOf(row, "tc"), [...(needsOf.get(textOf(row, "tc")) ?? []), row]);
  const covers = new Map<string, CoverFact>();
  for (const job of jobs) {
    const pair = numberOf(job, "pair");
    const tile = tiles[pair] ?? "";
    const mine = completes.filter((row) => numberOf(row, "pair") === pair);
    const frontier = frontierOf(job);
    covers.set(tile, {
      job: tile.split("/")[0] ?? "",
      frontier: frontier.upto,
      closeAfter: numberOf(job, "close_after"),
      confirm: numberOf(job, "confirm") === 1,
      home: textOf(job, "home"),
      regions: JSON.parse(textOf(job, "regions")),
      completes: mine.flatMap(positionsOf),
      looks: mine.flatMap((row) => lookOf(job, frontier.readyMs, row, needsOf.get(textOf(row, "id")) ?? [])),
      holds: mine
        .filter((row) => row["held"] === 1)
        .map((row) => ({ fromMs: firstMs(positionsOf(row)), untilMs: msOf(row, "released_ms") })),
    });
  }
  return covers;
}

function positionsOf(row: SqlRow): StampedPosition[] {
  const positions: unknown[][] = JSON.parse(textOf(row, "positions"));
  return positions.map(positionOf);
}

function firstMs(positions: readonly StampedPosition[]): number {
  return Math.min(...positions.map(({ stampMs }) => stampMs));
}

/** When everything that a tile-complete needs had been accepted, until a report of it was contradicted or its key revoked. */
function lookOf(job: SqlRow, readyMs: number | null, complete: SqlRow, needs: readonly SqlRow[]): Span[] {
  const isWhole = numberOf(complete, "shards") === numberOf(job, "shards") && needs.every((row) => row["good"] === 1 && row["lacks"] === 0);
  const begins = [msOf(job, "stamp_ms"), readyMs, firstMs(positionsOf(complete)), ...needs.map((row) => msOf(row, "stamp_ms"))];
  if (!isWhole || begins.includes(null)) return [];
  const fromMs = Math.max(...[...begins, ...needs.map((row) => msOf(row, "parts_ms"))].map((ms) => ms ?? 0));
  return spanOf(
    fromMs,
    needs.flatMap((row) => [msOf(row, "contradicted_ms"), msOf(row, "revoked_ms")]),
  );
}

function spanOf(fromMs: number, ends: readonly (number | null)[]): Span[] {
  const known = ends.filter((ms) => ms !== null);
  const untilMs = known.length === 0 ? null : Math.min(...known);
  return untilMs !== null && untilMs <= fromMs ? [] : [{ fromMs, untilMs }];
}

function msOf(row: SqlRow, name: string): number | null {
  return row[name] === null || row[name] === undefined ? null : numberOf(row, name);
}

/** `readyMs`: when the last record at or below it had been accepted; null while some are lacking. */
function frontierOf(row: SqlRow): { upto: Record<string, number>; readyMs: number | null } {
  const logs: [string, number, number, number | null][] = JSON.parse(textOf(row, "frontier"));
  const upto = Object.fromEntries(logs.map(([log, rseq]) => [log, rseq]));
  const isHeld = logs.every(([, , held, stampMs]) => held === 1 && stampMs !== null);
  return { upto, readyMs: isHeld ? Math.max(0, ...logs.map(([, , , stampMs]) => stampMs ?? 0)) : null };
}

function confirmOf(row: SqlRow): ConfirmFact[] {
  const frontier = frontierOf(row);
  const stampMs = msOf(row, "stamp_ms");
  if (frontier.readyMs === null || stampMs === null) return [];
  return spanOf(Math.max(frontier.readyMs, stampMs), [msOf(row, "revoked_ms")]).map((span) => ({
    region: textOf(row, "region"),
    scanner: textOf(row, "scanner"),
    basis: numberOf(row, "basis") === 0 ? "sighter" : "others",
    frontier: frontier.upto,
    span,
  }));
}

type Wanted = { readonly pairs: string; readonly keys: string; readonly wanted: readonly string[] };

/** Sightings by the index of their service, from the newest parts and uploads. */
async function readSightings(
  database: Database,
  { pairs, keys, wanted }: Wanted,
  reader: StoredReader,
): Promise<{ sightings: Map<number, SightingFact[]>; sinceMs: number | null }> {
  const [rows = []] = await database.batch([{ sql: PAYLOADS, args: [pairs, keys, PAYLOADS_MAX + 1] }], "read");
  const numbers = rows.slice(0, PAYLOADS_MAX).map((row) => numberOf(row, "n"));
  const indexes = new Map(wanted.map((key, index) => [key, index]));
  const sightings = new Map<number, SightingFact[]>();
  let oldestMs = 0;
  for (let at = 0; at < numbers.length; at += PAYLOADS_PER_READ) {
    for (const { acceptance, region, statement, payload } of await readNumbered(
      database,
      numbers.slice(at, at + PAYLOADS_PER_READ),
      reader,
    )) {
      const { log, rseq, stampMs } = acceptance;
      oldestMs = stampMs;
      for (const { hex, port, protocol } of payload === null ? [] : decodeSightingRows(payload)) {
        const index = indexes.get(`${hex}/${port}/${protocol}`);
        if (index === undefined) continue;
        const fact = { log, rseq, stampMs, region: statement.kind === "upload" ? null : region };
        sightings.set(index, [...(sightings.get(index) ?? []), fact]);
      }
    }
  }
  return { sightings, sinceMs: rows.length > PAYLOADS_MAX ? oldestMs : null };
}
