import { formatAddress, addressFromHex } from "../../src/core/address.ts";
import type { Sql, SqlRow } from "../../src/ledger/database.ts";
import { type Spot, spotText } from "./truth.ts";
import type { World } from "./world.ts";

/** More than the brake's 30 % by so much that no other tile that counts in the same moment explains it. */
const SURELY_TOO_MUCH_PERCENT = 60;
const MISSED_MIN = 20;

const OPEN_IN_TILE = `select lower(hex(s.ip)) as ip, s.port from tile t cross join range_set a on a.id = t.range_set
    cross join service s on s.ip >= a.lo and s.ip <= a.hi
  where t.job = unhex(?1) and t.n = ?2 and s.state = 0
    and exists (select 1 from port_set p where p.id = t.port_set and p.proto = s.proto and p.lo <= s.port and p.hi >= s.port)`;

const COUNTS_WHILE_HELD = `select lower(hex(m.job)) as job, m.tile from miss m
  cross join tile_complete c on c.job = m.job and c.tile = m.tile
  where c.held is not null and not exists (select 1 from tile_release r where r.tc = c.id) limit 1`;

const COMPLETES = "select lower(hex(id)) as id, lower(hex(job)) as job, tile, held, done from tile_complete";
/** Its closing pass has ended. */
const PASSED = 3;

/** Misses of what is closed, with what their jobs ask for. */
const CLOSED = `select lower(hex(s.ip)) as ip, s.port, s.since_ms as since, count(distinct m.job) as misses, min(j.close_after) as least,
    min(j.confirm) as confirm, json_group_array(lower(hex(m.job)) || ' ' || m.tile) as tiles
  from service s left join miss m using (ip, port, proto) left join job j on j.id = m.job where s.state = 2 group by s.ip, s.port, s.proto`;

const LOOKED_IN_VAIN = `select lower(hex(probe)) as id from probe_result
  where ip = unhex(?1) and port = ?2 and proto = 6 and answer in (1, 2)`;

/** Three connects take so long at least. */
const LOOK_MS = 10_000;

type Complete = {
  readonly atMs: number;
  readonly held: boolean;
  /** Services that were open when it was written. */ readonly open: ReadonlySet<string>;
};

/** Watches the guards before a close: the brake, the number of misses, and confirms. */
export class CloseWatch {
  readonly #world: World;
  readonly #completes = new Map<string, Complete>();
  readonly #probesAtMs = new Map<string, number>();
  /** Tile-completes that no longer have to be looked at. */
  readonly #judged = new Set<string>();
  #closed = new Set<string>();

  constructor(world: World) {
    this.#world = world;
  }

  /** After each committed write. */
  onWrite(statements: readonly Sql[]): void {
    const wrote = (text: string): boolean => statements.some(({ sql }) => sql.includes(text));
    if (wrote("into tile_complete(")) this.#noticeCompletes();
    if (wrote("into probe(")) this.#noticeProbes();
    if (wrote("into miss(")) this.#checkBrake();
    if (wrote("into miss(") || wrote("into confirm(")) this.#checkClosed();
  }

  #noticeCompletes(): void {
    const { ledger, simulation } = this.#world;
    for (const row of ledger.read(COMPLETES)) {
      const id = String(row["id"]);
      if (this.#completes.has(id)) continue;
      const open = ledger.read(OPEN_IN_TILE, [String(row["job"]), Number(row["tile"])]).map((service) => spotText(spotOf(service)));
      this.#completes.set(id, { atMs: simulation.nowMs, held: row["held"] !== null, open: new Set(open) });
    }
  }

  #noticeProbes(): void {
    const { ledger, simulation } = this.#world;
    for (const row of ledger.read("select lower(hex(id)) as id from probe")) {
      const id = String(row["id"]);
      if (!this.#probesAtMs.has(id)) this.#probesAtMs.set(id, simulation.nowMs);
    }
  }

  #checkBrake(): void {
    const { ledger, simulation } = this.#world;
    const [counts] = ledger.read(COUNTS_WHILE_HELD);
    if (counts !== undefined) simulation.fail(`tile ${String(counts["tile"])} of job ${short(counts)} counts although it is held`);
    for (const row of ledger.read(COMPLETES)) {
      const id = String(row["id"]);
      const complete = this.#completes.get(id);
      if (this.#judged.has(id) || complete === undefined || complete.held || complete.open.size < MISSED_MIN) continue;
      if (row["done"] === PASSED) this.#judged.add(id);
      const args = [String(row["job"]), Number(row["tile"])];
      const misses = ledger.read("select lower(hex(ip)) as ip, port from miss where job = unhex(?1) and tile = ?2", args);
      const missed = misses.filter((miss) => complete.open.has(spotText(spotOf(miss)))).length;
      if (missed < MISSED_MIN || missed * 100 <= complete.open.size * SURELY_TOO_MUCH_PERCENT) continue;
      const [agrees] = ledger.read("select 1 from tile_release where agreeing = unhex(?1)", [id]);
      if (agrees !== undefined) continue;
      simulation.fail(`tile ${String(row["tile"])} of job ${short(row)} misses ${missed} of ${complete.open.size} and is not held`);
    }
  }

  /** What is newly closed has misses enough, and with a confirm it was really not open after a job had missed it. */
  #checkClosed(): void {
    const { ledger, simulation, truth } = this.#world;
    const closed = new Set<string>();
    for (const row of ledger.read(CLOSED)) {
      const spot = spotOf(row);
      const key = `${spotText(spot)} ${String(row["since"])}`;
      closed.add(key);
      if (this.#closed.has(key)) continue;
      simulation.count("services closed");
      if (Number(row["misses"]) < Number(row["least"]))
        simulation.fail(`${spotText(spot)} is closed after ${String(row["misses"])} misses`);
      if (row["confirm"] !== 1) continue;
      simulation.count("services closed after a confirm");
      const fromMs = Math.min(...tilesOf(row).map((tile) => this.#completeAtMs(tile)));
      const probes = ledger.read(LOOKED_IN_VAIN, [String(row["ip"]), spot.port]);
      if (!probes.some(({ id }) => (this.#probesAtMs.get(String(id)) ?? 0) >= fromMs + LOOK_MS))
        simulation.fail(`${spotText(spot)} is closed, and nobody looked again after it was missed`);
      if (truth.isOpenThroughout(spot, fromMs, simulation.nowMs))
        simulation.fail(
          `${spotText(spot)} is closed, and was open since ${(fromMs / 1_000).toFixed(3)} s, before anything could confirm it`,
        );
    }
    this.#closed = closed;
  }

  #completeAtMs(tile: string): number {
    const [job = "", index = ""] = tile.split(" ");
    const rows = this.#world.ledger.read("select lower(hex(id)) as id from tile_complete where job = unhex(?1) and tile = ?2", [
      job,
      Number(index),
    ]);
    return Math.min(...rows.map((row) => this.#completes.get(String(row["id"]))?.atMs ?? 0));
  }
}

function tilesOf(row: SqlRow): string[] {
  const tiles: string[] = JSON.parse(String(row["tiles"]));
  return tiles;
}

function short(row: SqlRow): string {
  return String(row["job"]).slice(0, 8);
}

function spotOf(row: SqlRow): Spot {
  return { address: formatAddress(addressFromHex(String(row["ip"]))), port: Number(row["port"]) };
}
