import type { Frontier } from "../core/messages/common.ts";
import type { Sha256Hex } from "../core/statement.ts";
import { type Database, numberOf, type Sql, type SqlRow, textOf } from "./database.ts";

/** The state of a register as one hash: equal in all ledgers that hold the same records and have done what was put off. */
export type StateHash = {
  readonly hash: string;
  readonly services: number;
  /** What was held when it was computed: hashes are compared at equal frontiers only. */
  readonly frontier: Frontier;
  /** False when something was still put off, or records came in between: then it says nothing. */
  readonly settled: boolean;
};

const WINDOW_SERVICES = 2_000;
const ATTEMPTS = 3;

/** Hash over all services in their order, with state, newest sightings and, unless closed, misses and confirms. Takes about a second for 100,000. */
export async function stateHash(database: Database, sha256: Sha256Hex): Promise<StateHash> {
  for (let attempt = 1; ; attempt++) {
    const before = await readMoment(database);
    let hash = sha256("portolan/state/1");
    let services = 0;
    for (let after: string | null = ""; after !== null;) {
      const page: { rows: ServiceState[]; next: string | null } = await readStates(database, after);
      for (const { key, text } of page.rows) hash = sha256(`${hash}\n${key} ${text}`);
      services += page.rows.length;
      after = page.next;
    }
    const now = await readMoment(database);
    const settled = before.settled && now.settled && before.newest === now.newest;
    if (settled || attempt >= ATTEMPTS) return { hash, services, frontier: now.frontier, settled };
  }
}

type ServiceState = { readonly key: string; readonly text: string };

/** One window of states in the order of services; `next` is null after the last one. */
export async function readStates(database: Database, after: string): Promise<{ rows: ServiceState[]; next: string | null }> {
  const [ip = "", port = "-1", proto = "-1"] = after.split("/");
  const [rows = []] = await database.batch([{ ...STATES, args: [ip, Number(port), Number(proto), WINDOW_SERVICES] }], "read");
  const states = rows.map((row) => ({ key: keyOf(row), text: textOf(row, "text") }));
  return { rows: states, next: rows.length < WINDOW_SERVICES ? null : (states.at(-1)?.key ?? null) };
}

function keyOf(row: SqlRow): string {
  return `${textOf(row, "ip")}/${numberOf(row, "port")}/${numberOf(row, "proto")}`;
}

// SQLite versions differ in whether a subquery's answer still counts as JSON: hence json().
// A closed service needs no more misses and confirms, so which of them are there depends on the order of news.
const OF = "x.ip = s.ip and x.port = s.port and x.proto = s.proto";
const STATES: Sql = {
  sql: `select lower(hex(s.ip)) as ip, s.port, s.proto, json_array(s.state,
      json((select json_group_array(json_array(log, last_rseq, own_rseq)) from (
        select l.id as log, x.last_rseq, x.own_rseq from sighting x cross join log l on l.n = x.log where ${OF} order by l.id))),
      json((select json_group_array(job) from (select lower(hex(x.job)) as job from miss x where ${OF} and s.state < 2 order by x.job))),
      json((select json_group_array(probe) from (select lower(hex(x.probe)) as probe from confirm x where ${OF} and s.state < 2 order by x.probe)))) as text
    from service s where (s.ip, s.port, s.proto) > (unhex(?1), ?2, ?3) order by s.ip, s.port, s.proto limit ?4`,
};

async function readMoment(database: Database): Promise<{ frontier: Frontier; newest: number; settled: boolean }> {
  const [logs = [], moment] = await database.batch([{ sql: "select id, prefix from log where prefix >= 0 order by id" }, MOMENT], "read");
  return {
    frontier: Object.fromEntries(logs.map((row) => [textOf(row, "id"), numberOf(row, "prefix")])),
    newest: numberOf(moment?.[0], "newest"),
    settled: numberOf(moment?.[0], "pending") === 0,
  };
}

const MOMENT: Sql = {
  sql: `select coalesce((select max(n) from record), 0) as newest,
    exists (select 1 from rebuild)
      or exists (select 1 from job where tiles_made < tiles)
      or exists (select 1 from tile_complete where done < 3 and done > 0)
      or exists (select 1 from probe where done < 3 and done > 0)
      or exists (select 1 from signer where revoked = 1)
      or exists (select 1 from relook) as pending`,
};
