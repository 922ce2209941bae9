import { sha256Hex } from "../../src/bus/keys.node.ts";
import { formatAddress, addressFromHex, addressToHex } from "../../src/core/address.ts";
import { submitReplySchema, type Receipt } from "../../src/core/messages/bus.ts";
import { protocolNumber } from "../../src/core/port.ts";
import { chainHash } from "../../src/core/statement.ts";
import { foldVerdicts } from "../../src/core/verdict/fold.ts";
import type { Sql, SqlRow } from "../../src/ledger/database.ts";
import { CloseWatch } from "./close-watch.ts";
import type { Disk } from "./disk.ts";
import { readRecords, type StoredRecord } from "./records.ts";
import { type Spot, spotText } from "./truth.ts";
import type { World } from "./world.ts";

const STATES = ["open", "missing", "closed"];

/** Watches a world: what it says about the network against the truth, and what it promised against what it keeps. */
export class Oracle {
  readonly receipts: Receipt[] = [];
  readonly #world: World;
  /** When this simulation saw a job planned. */
  readonly #plannedAtMs = new Map<string, number>();
  readonly #judged = new Set<string>();
  readonly #watch: CloseWatch;

  constructor(world: World) {
    this.#world = world;
    this.#watch = new CloseWatch(world);
    world.ledger.onWrite = (statements) => this.#onWrite(statements);
    world.server.onReply = ({ subject }, reply) => {
      if (!subject.startsWith("reports.")) return;
      const answer = submitReplySchema.parse(JSON.parse(Buffer.from(reply).toString("utf8")));
      if (answer.ok) this.receipts.push(answer.receipt);
      else if (!answer.retry) world.simulation.fail(`the keeper refused an honest message for good: ${answer.problem}`);
    };
  }

  /** Safety that can be told at any moment: a plan has one job at a time, and no service that was open all the time may be missed. */
  #onWrite(statements: readonly Sql[]): void {
    const { ledger, simulation } = this.#world;
    if (statements.some(({ sql }) => sql.startsWith("insert into job("))) {
      for (const row of ledger.read("select lower(hex(id)) as id from job")) {
        const id = String(row["id"]);
        if (!this.#plannedAtMs.has(id)) this.#plannedAtMs.set(id, simulation.nowMs);
      }
      const [twice] = ledger.read("select plan from job where ended_at_ms is null group by plan_id having count(*) > 1");
      if (twice !== undefined) simulation.fail(`two jobs of plan ${String(twice["plan"])} run at one time`);
    }
    if (statements.some(({ sql }) => sql.includes("into miss("))) this.#judgeMisses();
    this.#watch.onWrite(statements);
  }

  #judgeMisses(): void {
    const { ledger, simulation, truth } = this.#world;
    const misses = ledger.read("select lower(hex(ip)) as ip, port, lower(hex(job)) as job, tile from miss");
    for (const row of misses) {
      const key = `${String(row["ip"])} ${String(row["port"])} ${String(row["job"])}`;
      if (this.#judged.has(key)) continue;
      this.#judged.add(key);
      const spot = spotOf(row);
      const fromMs = this.#plannedAtMs.get(String(row["job"])) ?? 0;
      if (!truth.isOpenThroughout(spot, fromMs, simulation.nowMs)) continue;
      const job = String(row["job"]).slice(0, 8);
      simulation.fail(
        `job ${job} (tile ${String(row["tile"])}) misses ${spotText(spot)}, which was open all the time since it was planned at ${(fromMs / 1_000).toFixed(3)} s (${truth.describe(spot)})`,
      );
    }
    for (const row of ledger.read("select lower(hex(ip)) as ip, port from service where state = 2")) {
      const spot = spotOf(row);
      if (truth.isOpenThroughout(spot, 0, simulation.nowMs)) simulation.fail(`${spotText(spot)} is shown closed and was open all the time`);
    }
  }

  /** What has to hold at the end, whatever happened. */
  checkEnd(): void {
    const records = readRecords(this.#world.ledger);
    this.#checkLog(records);
    this.#checkReceipts(records);
    this.#checkProjection(records);
    this.#checkSpools();
  }

  #checkLog(records: readonly StoredRecord[]): void {
    const { simulation } = this.#world;
    let previous = { log: "", rseq: -1, chain: "", stampMs: 0 };
    for (const { log, rseq, id, chain, stampMs, judged } of records) {
      if (log !== previous.log) previous = { log, rseq: -1, chain: "", stampMs: 0 };
      if (rseq !== previous.rseq + 1) return simulation.fail(`the log goes on with ${rseq} after ${previous.rseq}`);
      if (chain !== chainHash({ log, rseq, previous: previous.chain, id, stampMs, judged }, sha256Hex))
        return simulation.fail(`the chain breaks at ${rseq}`);
      if (stampMs <= previous.stampMs) return simulation.fail(`the stamp of record ${rseq} is not above the one before`);
      previous = { log, rseq, chain, stampMs };
    }
    const ids = new Set(records.map(({ id, log }) => `${id} ${log}`));
    if (ids.size !== records.length) simulation.fail("a record was accepted twice");
  }

  #checkReceipts(records: readonly StoredRecord[]): void {
    const at = new Map(records.map(({ log, rseq, id }) => [`${log} ${rseq}`, id]));
    const lost = this.receipts.find(({ log, rseq, id }) => at.get(`${log} ${rseq}`) !== id);
    if (lost !== undefined) this.#world.simulation.fail(`record ${lost.id.slice(0, 8)} was acknowledged at ${lost.rseq} and is not there`);
  }

  #checkProjection(records: readonly StoredRecord[]): void {
    const { ledger, simulation } = this.#world;
    const wanted = foldVerdicts(records)
      .map(({ service, verdict }) => `${addressToHex(service.address)} ${protocolNumber(service.protocol)}/${service.port} ${verdict}`)
      .toSorted();
    const has = ledger
      .read("select lower(hex(ip)) as ip, port, proto, state from service")
      .map((row) => `${String(row["ip"])} ${String(row["proto"])}/${String(row["port"])} ${STATES[Number(row["state"])] ?? "?"}`)
      .toSorted();
    const more = has.filter((line) => !wanted.includes(line));
    const less = wanted.filter((line) => !has.includes(line));
    if (more.length + less.length > 0) simulation.fail(`the register says ${more.join(", ")}; the records say ${less.join(", ")}`);
    const [audit] = ledger.read("select count(*) as n from verdict v join service s using (ip, port, proto) where v.state <> s.state");
    if (audit?.["n"] !== 0) simulation.fail("a stored state is not the one of its view");
    const tally = JSON.stringify(ledger.read("select port, proto, state, n from tally where n > 0 order by port, proto, state"));
    const counted = JSON.stringify(
      ledger.read("select port, proto, state, count(*) as n from service group by port, proto, state order by port, proto, state"),
    );
    if (tally !== counted) simulation.fail(`the tally is ${tally}; there are ${counted}`);
  }

  #checkSpools(): void {
    for (const { name, disk } of this.#world.scanners) {
      // A run that never began (no room for its start) leaves an empty directory until the next start.
      const left = undelivered(disk);
      if (left > 0) this.#world.simulation.fail(`${name} has not delivered ${left} runs`);
      if (disk.list("/data/scanner").includes("refused")) this.#world.simulation.fail(`a run of ${name} was refused for good`);
    }
  }
}

/** Runs on a scanner's disk that it has still to deliver. */
export function undelivered(disk: Disk): number {
  return disk.list("/data/scanner/runs").filter((run) => disk.list(`/data/scanner/runs/${run}`).includes("start.json")).length;
}

function spotOf(row: SqlRow): Spot {
  return { address: formatAddress(addressFromHex(String(row["ip"]))), port: Number(row["port"]) };
}
