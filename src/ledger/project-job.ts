import { addressToHex } from "../core/address.ts";
import { canonicalJson } from "../core/canonical.ts";
import type { JobSpec } from "../core/messages/job.ts";
import { protocolNumber } from "../core/port.ts";
import type { Sha256Hex } from "../core/statement.ts";
import { type Tile, tilingOf } from "../core/tile.ts";
import type { Sql } from "./database.ts";
import { projectLayout } from "./layout.ts";
import { refoldPaused } from "./project-control.ts";
import { REFOLD_ASSIGNMENTS } from "./project-report.ts";
import { insertFrontier } from "./frontier.ts";

/** Rows that one window of tile cutting writes at most (a window has at least one tile). */
const WINDOW_ROWS_MAX = 6_000;

/** Job, frontier and the first window of its tiles. Small jobs are whole after it; the rest is deferred work. */
export function projectJob(id: string, spec: JobSpec, sha256: Sha256Hex): Sql[] {
  const tiling = tilingOf(spec);
  const pairs = tiling.pairs > BigInt(Number.MAX_SAFE_INTEGER) ? Number.MAX_SAFE_INTEGER : Number(tiling.pairs);
  return [
    {
      sql: `insert into job(id, plan_id, plan, scanner_group, home, cause, close_after, confirm, planned_at_ms, deadline_at_ms, pairs, tiles)
        values (unhex(?1), ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12) on conflict do nothing`,
      args: [
        id,
        spec.plan.id,
        spec.plan.name,
        spec.group,
        spec.home,
        spec.cause,
        spec.policy.closeAfter,
        spec.policy.confirm ? 1 : 0,
        spec.plannedAtMs,
        spec.deadlineAtMs,
        pairs,
        tiling.count,
      ],
    },
    {
      sql: "insert into job_member(job, region, scanner) select unhex(?1), value->>0, value->>1 from json_each(?2) where true on conflict do nothing",
      args: [id, JSON.stringify(spec.members.map(({ region, scanner }) => [region, scanner]))],
    },
    {
      sql: "insert into job_region(job, region, listed) select unhex(?1), value, 1 from json_each(?2) where true on conflict do nothing",
      args: [id, JSON.stringify(spec.regions)],
    },
    { sql: "insert into job_region(job, region, listed) values (unhex(?1), ?2, 0) on conflict do nothing", args: [id, spec.home] },
    refoldPaused(id),
    ...insertFrontier(id, spec.frontier),
    ...projectLayout(id, spec, sha256),
    ...cutTiles(id, spec, 0, sha256),
  ];
}

/** Cuts tiles from number `first` on, as many as fit into one window. Repeatable. */
export function cutTiles(id: string, spec: JobSpec, first: number, sha256: Sha256Hex): Sql[] {
  const tiling = tilingOf(spec);
  const window = new TileWindow(sha256);
  let next = first;
  while (next < tiling.count && window.rows < WINDOW_ROWS_MAX) {
    window.add(tiling.tileAt(next));
    next++;
  }
  const rows = (sql: string, data: unknown[]): Sql => ({ sql, args: [id, JSON.stringify(data)] });
  return [
    rows(
      "insert into range_set(id, lo, hi) select unhex(value->>0), unhex(value->>1), unhex(value->>2) from json_each(?2) where ?1 <> '' on conflict do nothing",
      window.ranges,
    ),
    rows(
      "insert into port_set(id, proto, hi, lo) select unhex(value->>0), value->>1, value->>2, value->>3 from json_each(?2) where ?1 <> '' on conflict do nothing",
      window.ports,
    ),
    rows(
      `insert into tile(job, n, range_set, port_set, engine, shards, shards_left, pairs)
        select unhex(?1), value->>0, unhex(value->>1), unhex(value->>2), value->>3, value->>4, value->>4, value->>5 from json_each(?2) where true on conflict do nothing`,
      window.tiles,
    ),
    rows(
      "insert into assignment(job, tile, shard, scanner, original) select unhex(?1), value->>0, value->>1, value->>2, value->>2 from json_each(?2) where true on conflict do nothing",
      window.assignments,
    ),
    { sql: "update job set tiles_made = max(tiles_made, ?2) where id = unhex(?1)", args: [id, next] },
    // What came before the job did.
    {
      sql: `${REFOLD_ASSIGNMENTS} where job = unhex(?1) and tile >= ?2 and tile < ?3 and (
        exists (select 1 from report r where r.job = assignment.job and r.tile = assignment.tile and r.shard = assignment.shard)
        or exists (select 1 from reassignment r where r.job = assignment.job and r.tile = assignment.tile and r.shard = assignment.shard))`,
      args: [id, first, next],
    },
    {
      sql: "update tile set state = 1 where job = unhex(?1) and n >= ?2 and n < ?3 and state <> 1 and exists (select 1 from tile_complete c where c.job = tile.job and c.tile = tile.n)",
      args: [id, first, next],
    },
    {
      sql: "update tile set state = 2 where job = unhex(?1) and n >= ?2 and n < ?3 and state = 0 and exists (select 1 from tile_abandoned a where a.job = tile.job and a.first <= tile.n and a.last >= tile.n)",
      args: [id, first, next],
    },
  ];
}

/** Rows of some tiles; equal sets of ranges or ports are stored once. */
class TileWindow {
  readonly ranges: [string, string, string][] = [];
  readonly ports: [string, number, number, number][] = [];
  readonly tiles: [number, string, string, string, number, number][] = [];
  readonly assignments: [number, number, string][] = [];
  readonly #portSets = new Set<string>();
  readonly #sha256: Sha256Hex;

  constructor(sha256: Sha256Hex) {
    this.#sha256 = sha256;
  }

  get rows(): number {
    return this.ranges.length + this.ports.length + this.assignments.length;
  }

  add(tile: Tile): void {
    const ranges = tile.ranges.map(({ first, last }) => [addressToHex(first), addressToHex(last)] as const);
    const ports = tile.ports.map(({ protocol, first, last }) => [protocolNumber(protocol), last, first] as const);
    const rangeSet = this.#sha256(`portolan/range-set/1\n${canonicalJson(ranges)}`);
    const portSet = this.#sha256(`portolan/port-set/1\n${canonicalJson(ports)}`);
    for (const [lo, hi] of ranges) this.ranges.push([rangeSet, lo, hi]);
    if (!this.#portSets.has(portSet)) {
      this.#portSets.add(portSet);
      for (const [proto, hi, lo] of ports) this.ports.push([portSet, proto, hi, lo]);
    }
    this.tiles.push([tile.index, rangeSet, portSet, tile.engine, tile.members.length, Math.min(tile.pairs, Number.MAX_SAFE_INTEGER)]);
    for (const [index, scanner] of tile.members.entries()) this.assignments.push([tile.index, index + 1, scanner]);
  }
}
