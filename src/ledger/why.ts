import { addressToHex, formatAddress, parseAddress } from "../core/address.ts";
import type { Certificate } from "../core/certificate/schema.ts";
import { protocolNumber } from "../core/port.ts";
import { type Database, numberOf, optionalTextOf, type SqlRow, textOf } from "./database.ts";
import { stateOf } from "./services.ts";
import type { Service } from "./types.ts";
import { sequenceOf, type WhyMiss } from "./why-sequence.ts";
import { loadEvidence, loadRecords } from "./why-records.ts";

/** Newest misses that are looked through for a sequence; a service has more only while a region cannot confirm. */
const MISSES_MAX = 500;
/** Misses that the certificate of a missing service shows. */
const MISSES_SHOWN = 10;
const CONFIRMS_MAX = 500;
const REVOKED_MAX = 10_000;

const OF = "ip = unhex(?1) and m.port = ?2 and m.proto = ?3";

const QUERIES: readonly string[] = [
  "select m.state from service m where m.ip = unhex(?1) and m.port = ?2 and m.proto = ?3",
  "select id, region, prefix, n from log where ?1 <> '' and ?2 >= 0 and ?3 >= 0 order by n",
  `select m.log, m.last_rseq, m.own_rseq, lower(hex(r.id)) as id from sighting m cross join record r on r.log = m.log and r.rseq = m.last_rseq
    where m.${OF} order by m.log`,
  `select lower(hex(m.job)) as job, m.tile, j.close_after from miss m cross join job j on j.id = m.job
    where m.${OF} order by j.planned_at_ms desc, m.job limit ${MISSES_MAX}`,
  `select lower(hex(m.job)) as job, f.log, f.upto from miss m cross join frontier f on f.rec = m.job where m.${OF}`,
  `select lower(hex(m.job)) as job, lower(hex(t.id)) as id, t.done, r.log, r.rseq from miss m
    cross join tile_complete t on t.job = m.job and t.tile = m.tile cross join record r on r.id = t.id where m.${OF} order by t.id`,
  // Where the verdict says that a chain ends, and that it is confirmed as its job asks.
  `select lower(hex(m.job)) as job from miss_chain m where m.${OF} and m.enough and (m.confirm = 0 or not exists (
    select 1 from miss_unconfirmed u where u.ip = m.ip and u.port = m.port and u.proto = m.proto and u.job = m.job)) limit ${MISSES_MAX}`,
  `select lower(hex(m.probe)) as id from confirm m where m.${OF} limit ${CONFIRMS_MAX}`,
  `select key from signer where revoked > 0 and ?1 <> '' and ?2 >= 0 and ?3 >= 0 order by key limit ${REVOKED_MAX}`,
];

/**
 * The certificate of a service: everything that made its verdict, read by index in one snapshot (the records themselves after
 * it: they never change). Null when it is not in the register.
 */
export async function whyOf(database: Database, service: Pick<Service, "address" | "protocol" | "port">): Promise<Certificate | null> {
  const address = parseAddress(service.address);
  const args = [addressToHex(address), service.port, protocolNumber(service.protocol)];
  const [states = [], logs = [], sightings = [], misses = [], frontiers = [], completes = [], closing = [], confirms = [], revoked = []] =
    await database.batch(
      QUERIES.map((sql) => ({ sql, args })),
      "read",
    );
  if (states[0] === undefined) return null;
  const verdict = stateOf(numberOf(states[0], "state"));
  const logIds = new Map(logs.map((row) => [numberOf(row, "n"), textOf(row, "id")]));
  const known = missesOf(misses, frontiers, completes);
  const shown = verdict === "closed" ? sequenceOf(known, new Set(closing.map((row) => textOf(row, "job")))) : known.slice(0, MISSES_SHOWN);
  const evidence = await loadEvidence(database, shown);
  const probes = verdict === "closed" ? confirms.map((row) => textOf(row, "id")) : [];
  const seen = sightings.map((row) => ({
    log: logIds.get(numberOf(row, "log")) ?? "",
    rseq: numberOf(row, "last_rseq"),
    ownRseq: numberOf(row, "own_rseq"),
    record: textOf(row, "id"),
  }));
  const wanted = [
    ...seen.map(({ record }) => record),
    ...shown.flatMap(({ job, completes: ids }) => [job, ...ids]),
    ...evidence,
    ...probes,
  ];
  return {
    version: 1,
    service: { address: formatAddress(address), protocol: service.protocol, port: service.port },
    verdict,
    regions: Object.fromEntries(logs.map((row) => [textOf(row, "id"), optionalTextOf(row, "region") ?? ""])),
    held: Object.fromEntries(logs.filter((row) => numberOf(row, "prefix") >= 0).map((row) => [textOf(row, "id"), numberOf(row, "prefix")])),
    sightings: seen,
    misses: shown.map(({ job, tile, counting, completes: ids }) => ({ job, tile, tileComplete: counting, tileCompletes: [...ids] })),
    confirms: probes,
    revoked: revoked.map((row) => textOf(row, "key")),
    records: await loadRecords(database, [...new Set(wanted)]),
  };
}

function missesOf(misses: readonly SqlRow[], frontiers: readonly SqlRow[], completes: readonly SqlRow[]): WhyMiss[] {
  const uptos = grouped(frontiers);
  const ends = grouped(completes);
  return misses.map((row) => {
    const job = textOf(row, "job");
    const rows = ends.get(job) ?? [];
    return {
      job,
      tile: numberOf(row, "tile"),
      closeAfter: numberOf(row, "close_after"),
      frontier: new Map((uptos.get(job) ?? []).map((one) => [numberOf(one, "log"), numberOf(one, "upto")])),
      completes: [...new Set(rows.map((one) => textOf(one, "id")))],
      counting: textOf(rows.find((one) => [1, 3].includes(numberOf(one, "done"))) ?? rows[0], "id"),
      positions: rows.map((one) => ({ log: numberOf(one, "log"), rseq: numberOf(one, "rseq") })),
    };
  });
}

function grouped(rows: readonly SqlRow[]): Map<string, SqlRow[]> {
  const groups = new Map<string, SqlRow[]>();
  for (const row of rows) {
    const job = textOf(row, "job");
    const group = groups.get(job);
    if (group === undefined) groups.set(job, [row]);
    else group.push(row);
  }
  return groups;
}
