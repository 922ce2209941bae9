import { addressFromHex, addressToHex, formatAddress, parseAddress } from "../core/address.ts";
import { PortolanError } from "../core/errors.ts";
import { protocolNumber, protocolOf } from "../core/port.ts";
import { type Database, numberOf, optionalTextOf, type Sql, type SqlRow, type SqlValue, textOf } from "./database.ts";
import { limitOf, page } from "./page.ts";
import { DISAGREEING, DISAGREES } from "./vantage.ts";
import type { Page, PortCount, Service, ServiceCounts, ServiceQuery, ServiceState } from "./types.ts";

const STATES: readonly ServiceState[] = ["open", "missing", "closed"];
const SERVICES_OF_HOST_MAX = 1_000;

/** Columns of a service `s` as `serviceOf` reads them. */
export const SERVICE_COLUMNS = `lower(hex(s.ip)) as ip, s.port, s.proto, s.state, s.known, s.reopened, s.since_ms,
  (select json_array(min(g.first_at_s), max(g.last_at_s)) from sighting g where g.ip = s.ip and g.port = s.port and g.proto = s.proto) as seen,
  (select json_group_array(distinct l.region) from sighting g cross join log l on l.n = g.log
    where g.ip = s.ip and g.port = s.port and g.proto = s.proto and g.own_rseq >= 0) as regions,
  not exists (select 1 from sighting g left join signer k on k.n = g.signer
    where g.ip = s.ip and g.port = s.port and g.proto = s.proto and coalesce(k.revoked, 0) = 0) as tainted`;

/** See `LedgerReader.listServices`: ordered by (address, port, protocol). */
export async function listServices(database: Database, query: ServiceQuery): Promise<Page<Service>> {
  const limit = limitOf(query.limit);
  const [rows] = await database.batch([servicesSql(query, limit + 1)], "read");
  return page(
    (rows ?? []).map(serviceOf),
    limit,
    (last) => `${addressToHex(parseAddress(last.address))}.${last.port}.${protocolNumber(last.protocol)}`,
  );
}

/** The statement of one page; exported for the test of its plan. */
export function servicesSql(query: ServiceQuery, limit: number): Sql {
  const args: SqlValue[] = [];
  const bind = (value: SqlValue): string => `?${args.push(value)}`;
  const place = placeConditions(query, bind);
  if (query.cursor !== undefined) place.push(cursorCondition(query.cursor, query.port !== undefined, bind));
  const order = query.port === undefined ? "s.ip, s.port, s.proto" : "s.ip, s.proto";
  const state = stateCondition(query.state, query.known ?? "hide");
  if (query.vantage === "disagree") {
    const where = [state, ...place.map(ofSilent), DISAGREES].join(" and ");
    return { sql: `select ${SERVICE_COLUMNS} from ${DISAGREEING} where ${where} order by ${ofSilent(order)} limit ${bind(limit)}`, args };
  }
  return {
    sql: `select ${SERVICE_COLUMNS} from service s where ${[state, ...place].join(" and ")} order by ${order} limit ${bind(limit)}`,
    args,
  };
}

/** See `LedgerReader.countKnown`: from the tally, or within a range from the index of known-good services. */
export async function countKnown(database: Database, query: ServiceQuery): Promise<number> {
  const args: SqlValue[] = [];
  const places = placeConditions(query, (value) => `?${args.push(value)}`);
  const where = [stateCondition(query.state, "only"), ...places].join(" and ");
  if (query.vantage === "disagree") {
    const sql = `select count(*) as n from ${DISAGREEING} where ${where} and ${DISAGREES}`;
    const [counts] = await database.batch([{ sql, args }], "read");
    return numberOf(counts?.[0], "n");
  }
  const counted =
    query.range === undefined ? "coalesce(sum(s.n), 0) as n from tally s" : "count(*) as n from service s indexed by service_good";
  const [rows] = await database.batch([{ sql: `select ${counted} where ${where}`, args }], "read");
  return numberOf(rows?.[0], "n");
}

/** The same condition on the row that drives a list of disagreements: its key is the service's. */
function ofSilent(condition: string): string {
  return condition.replaceAll(/\bs\.(ip|port|proto)\b/g, "v.$1");
}

function placeConditions(query: ServiceQuery, bind: (value: SqlValue) => string): string[] {
  const where: string[] = [];
  if (query.range !== undefined) {
    where.push(`s.ip >= unhex(${bind(addressToHex(query.range.first))}) and s.ip <= unhex(${bind(addressToHex(query.range.last))})`);
  }
  if (query.port !== undefined) where.push(`s.port = ${bind(query.port)}`);
  if (query.protocol !== undefined) where.push(`s.proto = ${bind(protocolNumber(query.protocol))}`);
  return where;
}

// The conditions stand literally as in the partial indexes, which are used only then.
function stateCondition(state: ServiceQuery["state"], known: "hide" | "show" | "only"): string {
  const shown = known === "show" ? "" : ` and s.known = ${known === "only" ? 1 : 0}`;
  switch (state) {
    case "open":
      return `s.state < 2${shown} and s.state = 0`;
    case "missing":
      return `s.state = 1${shown}`;
    case "closed":
      return `s.state = 2${shown}`;
    case "all":
      return `s.state >= 0${shown}`;
    case "active":
    case undefined:
      return `s.state < 2${shown}`;
  }
}

function cursorCondition(cursor: string, onePort: boolean, bind: (value: SqlValue) => string): string {
  const match = /^([0-9a-f]{32})\.(\d{1,5})\.(\d{1,3})$/.exec(cursor);
  if (match === null) throw new PortolanError("invalid", "the cursor is not one that this list gave; start again without it");
  const [, ip = "", port = "", proto = ""] = match;
  if (onePort) return `(s.ip, s.proto) > (unhex(${bind(ip)}), ${bind(Number(proto))})`;
  return `(s.ip, s.port, s.proto) > (unhex(${bind(ip)}), ${bind(Number(port))}, ${bind(Number(proto))})`;
}

/** See `LedgerReader.host`. */
export async function host(database: Database, address: string): Promise<Service[]> {
  const [rows] = await database.batch(
    [
      {
        sql: `select ${SERVICE_COLUMNS} from service s where s.ip = unhex(?1) order by s.port, s.proto limit ?2`,
        args: [addressToHex(parseAddress(address)), SERVICES_OF_HOST_MAX],
      },
    ],
    "read",
  );
  return (rows ?? []).map(serviceOf);
}

/** See `LedgerReader.counts`. */
export async function counts(database: Database): Promise<ServiceCounts> {
  const [rows] = await database.batch([{ sql: "select state, sum(n) as n from tally group by state" }], "read");
  const by = new Map((rows ?? []).map((row) => [numberOf(row, "state"), numberOf(row, "n")]));
  return { open: by.get(0) ?? 0, missing: by.get(1) ?? 0, closed: by.get(2) ?? 0 };
}

/** See `LedgerReader.portCounts`. */
export async function portCounts(database: Database, limit: number): Promise<PortCount[]> {
  const [rows] = await database.batch(
    [
      {
        sql: `select port, proto, sum(iif(state = 0, n, 0)) as open, sum(iif(state = 1, n, 0)) as missing, sum(iif(state = 2, n, 0)) as closed
          from tally group by port, proto having sum(n) > 0 order by open + missing desc, port, proto limit ?1`,
        args: [limit],
      },
    ],
    "read",
  );
  return (rows ?? []).map((row) => ({
    protocol: protocolOf(numberOf(row, "proto")),
    port: numberOf(row, "port"),
    open: numberOf(row, "open"),
    missing: numberOf(row, "missing"),
    closed: numberOf(row, "closed"),
  }));
}

/** A row of `SERVICE_COLUMNS`. */
export function serviceOf(row: SqlRow): Service {
  const [first, last]: [number, number] = JSON.parse(textOf(row, "seen"));
  const regions: string[] = JSON.parse(optionalTextOf(row, "regions") ?? "[]");
  return {
    ...keyOf(row),
    state: stateOf(numberOf(row, "state")),
    firstSeenMs: first * 1_000,
    lastSeenMs: last * 1_000,
    seenBy: regions.toSorted(),
    changedAtMs: numberOf(row, "since_ms"),
    reopened: numberOf(row, "reopened") === 1,
    known: numberOf(row, "known") === 1,
    tainted: numberOf(row, "tainted") === 1,
  };
}

export function keyOf(row: SqlRow): Pick<Service, "address" | "protocol" | "port"> {
  return {
    address: formatAddress(addressFromHex(textOf(row, "ip"))),
    protocol: protocolOf(numberOf(row, "proto")),
    port: numberOf(row, "port"),
  };
}

export function stateOf(number: number): ServiceState {
  const state = STATES[number];
  if (state === undefined) throw new PortolanError("internal", `the ledger has a service in the unknown state ${number}`);
  return state;
}
