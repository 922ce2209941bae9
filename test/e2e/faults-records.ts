import { type Database, httpDatabase } from "../../src/ledger/database.ts";
import { type Fault, losesLedger, type RegionName, REGIONS } from "./faults-draw.ts";
import type { World } from "./faults-world.ts";

type Row = { readonly n: number; readonly place: string; readonly id: string; readonly kind: string; readonly own: boolean };

const SQL = `select r.n, l.id || ' ' || r.rseq as place, lower(hex(r.id)) as id, r.kind, l.region from record r join log l on l.n = r.log where r.n > ? order by r.n limit 20000`;
const HOLES = "select l.id as log, count(*) as n, max(r.rseq) as top from record r join log l on l.n = r.log group by l.id";
/** All records of a campaign on a busy machine. */
const READ_MS_MAX = 30_000;

/** What the three ledgers have accepted, watched from outside through plain SQL. */
export class Records {
  readonly #databases: ReadonlyMap<RegionName, Database>;
  /** By region: what stands at which place, as seen last. */
  readonly #held = new Map<RegionName, Map<string, string>>();
  readonly #newest = new Map<RegionName, number>();
  /** By id: where it was seen, and by which region's ledger it was accepted. */
  readonly #known = new Map<string, { readonly kind: string; readonly seenIn: Set<RegionName> }>();

  constructor(world: World) {
    this.#databases = new Map(
      REGIONS.map((name) => [name, httpDatabase({ url: world.regions.region(name).ledgerUrl, timeoutMs: READ_MS_MAX })]),
    );
    for (const name of REGIONS) this.#held.set(name, new Map());
  }

  get count(): number {
    return this.#known.size;
  }

  /** Reads what came since the last look; a ledger that does not answer is left out. */
  async look(): Promise<void> {
    await Promise.all(
      REGIONS.map(async (region) => {
        const rows = await this.#read(region, this.#newest.get(region) ?? 0).catch(() => []);
        for (const row of rows) {
          this.#note(region, row);
          this.#held.get(region)?.set(row.place, row.id);
          this.#newest.set(region, row.n);
        }
      }),
    );
  }

  /** Numbers of a region's ledger begin anew: it lost what it had. */
  forget(region: RegionName): void {
    this.#newest.set(region, 0);
    this.#held.set(region, new Map());
  }

  /**
   * After healing: what was seen at a place is there, unless that ledger was lost meanwhile; what was seen in any ledger is in all of them,
   * unless a lost ledger was the only one that had it; no log has a hole. `gone` counts these exceptions.
   */
  async compare(faults: readonly Fault[]): Promise<{ lost: string[]; gone: number }> {
    const losers = new Set(faults.flatMap((fault) => (losesLedger(fault) && fault.kind !== "cut" ? [fault.region] : [])));
    const now = new Map<RegionName, Map<string, string>>();
    for (const region of REGIONS) now.set(region, new Map((await this.#read(region, 0)).map(({ place, id }) => [place, id])));
    const lost: string[] = [];
    for (const region of REGIONS) {
      if (!losers.has(region))
        for (const [place, id] of this.#held.get(region) ?? [])
          if (now.get(region)?.get(place) !== id) lost.push(`${region}: ${place} is lost or changed (${this.#known.get(id)?.kind ?? "?"})`);
      lost.push(...(await this.#holes(region)).map((log) => `${region}: log ${log} has a hole`));
    }
    let gone = 0;
    for (const [id, { kind, seenIn }] of this.#known) {
      const missing = REGIONS.filter((region) => !held(now.get(region), id));
      if (missing.length === 0) continue;
      const [only] = seenIn;
      if (missing.length === REGIONS.length && seenIn.size === 1 && only !== undefined && losers.has(only)) gone += 1;
      else lost.push(`${kind} ${id.slice(0, 12)}, seen in ${[...seenIn].join()}, is missing in ${missing.join()}`);
      this.#known.delete(id);
    }
    for (const region of REGIONS) this.#held.set(region, now.get(region) ?? new Map());
    this.#newest.clear();
    return { lost, gone };
  }

  close(): void {
    for (const database of this.#databases.values()) database.close();
  }

  /** Highest number of the region's own log, with its id; null while the ledger does not answer. */
  async ownEnd(region: RegionName): Promise<string | null> {
    const sql =
      "select l.id || ' ' || coalesce(max(r.rseq), -1) as place from log l left join record r on r.log = l.n where l.own = 1 group by l.n";
    const rows = await this.#query(region, sql).catch(() => []);
    return rows[0] === undefined ? null : String(rows[0]["place"]);
  }

  #note(region: RegionName, { id, kind }: Row): void {
    const known = this.#known.get(id);
    if (known === undefined) this.#known.set(id, { kind, seenIn: new Set([region]) });
    else known.seenIn.add(region);
  }

  async #read(region: RegionName, after: number): Promise<Row[]> {
    const rows: Row[] = [];
    for (let from = after, more = true; more;) {
      const page = await this.#query(region, SQL, [from]);
      for (const row of page) {
        rows.push({
          n: Number(row["n"]),
          place: String(row["place"]),
          id: String(row["id"]),
          kind: String(row["kind"]),
          own: row["region"] === region,
        });
      }
      more = page.length === 20_000;
      from = rows.at(-1)?.n ?? from;
    }
    return rows;
  }

  async #holes(region: RegionName): Promise<string[]> {
    const rows = await this.#query(region, HOLES);
    return rows.filter((row) => Number(row["n"]) !== Number(row["top"]) + 1).map((row) => String(row["log"]));
  }

  async #query(region: RegionName, sql: string, args: number[] = []) {
    const [rows = []] = (await this.#databases.get(region)?.batch([{ sql, args }], "read")) ?? [];
    return rows;
  }
}

const ids = new WeakMap<ReadonlyMap<string, string>, ReadonlySet<string>>();

function held(places: ReadonlyMap<string, string> | undefined, id: string): boolean {
  if (places === undefined) return false;
  const all = ids.get(places) ?? new Set(places.values());
  ids.set(places, all);
  return all.has(id);
}
