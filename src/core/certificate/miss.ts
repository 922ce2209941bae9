import { parseAddress } from "../address.ts";
import { containsPort } from "../port.ts";
import { containsAddress, normaliseRanges } from "../range.ts";
import { type Tile, tilingOf } from "../tile.ts";
import type { Records } from "./records.ts";
import type { Certificate } from "./schema.ts";

type Miss = Certificate["misses"][number];

/** Rules 2, 3 and 8: what keeps the job from having missed the service; empty when it has. */
export function checkMiss(certificate: Certificate, records: Records, miss: Miss): string[] {
  const { sightings, held } = certificate;
  const name = `miss of job ${miss.job.slice(0, 12)}`;
  const spec = records.job(miss.job);
  if (spec === null) return [`${name}: the job is not there`];
  const problems: string[] = [];
  const tiling = tilingOf(spec);
  if (miss.tile >= tiling.count) return [`${name}: the job has no tile ${miss.tile}`];
  const tile = tiling.tileAt(miss.tile);
  if (!holds(tile, certificate)) problems.push(`${name}: the service is not in tile ${miss.tile}`);
  for (const { log, rseq } of sightings) {
    if (rseq > (spec.frontier[log] ?? -1))
      problems.push(`${name}: it did not know of the sighting at ${rseq} of log ${log.slice(0, 8)} when it was planned`);
  }
  for (const [log, upto] of Object.entries(spec.frontier)) {
    if (upto > (held[log] ?? -1)) problems.push(`${name}: not all of what it knew in log ${log.slice(0, 8)} was held`);
  }
  return [...problems, ...completionProblems(certificate, records, miss, tile.members.length).map((problem) => `${name}: ${problem}`)];
}

function holds({ ranges, ports }: Tile, { service }: Certificate): boolean {
  return containsAddress(normaliseRanges(ranges), parseAddress(service.address)) && containsPort(ports, service.protocol, service.port);
}

/** One complete report for each shard, by keys that are trusted, and no tile-complete held back. */
function completionProblems({ revoked }: Certificate, records: Records, miss: Miss, shards: number): string[] {
  const problems: string[] = [];
  if (!miss.tileCompletes.includes(miss.tileComplete)) problems.push("its tile-complete is not among those of the tile");
  for (const id of miss.tileCompletes) {
    const statement = records.get(id)?.statement;
    if (statement?.kind !== "tile-complete" || statement.content.job !== miss.job || statement.content.tile !== miss.tile)
      problems.push(`${id.slice(0, 12)} is no tile-complete of tile ${miss.tile}`);
    else if (statement.content.held !== null && !isReleased(records, id)) problems.push("the brake holds the tile");
  }
  const complete = records.get(miss.tileComplete)?.statement;
  if (complete?.kind !== "tile-complete") return [...problems, "the tile is not complete"];
  const named = complete.content.reports;
  const numbers = new Set(named.map(({ shard }) => shard));
  if (named.length !== shards || numbers.size !== shards || Math.max(...numbers) !== shards)
    problems.push(`its tile-complete does not name the shards 1 to ${shards}`);
  for (const { shard, id } of named) {
    const problem = reportProblem(records, miss, revoked, shard, id);
    if (problem !== null) problems.push(`shard ${shard}: ${problem}`);
  }
  return problems;
}

function isReleased(records: Records, tileComplete: string): boolean {
  return records.releases().some((release) => release.tileComplete === tileComplete);
}

function reportProblem(records: Records, miss: Miss, revoked: readonly string[], shard: number, id: string): string | null {
  const record = records.get(id);
  if (record?.statement.kind !== "report") return "its report is not there";
  const { key, outcome, scanner } = record.statement.content;
  if (key.job !== miss.job || key.tile !== miss.tile || key.shard !== shard) return "its report is about something else";
  if (outcome.kind !== "complete") return "its report is partial";
  if (!record.positions.some(({ judged }) => judged === "complete")) return "no keeper that accepted its report found it complete";
  if (record.author.name !== scanner) return "its report is signed by somebody else";
  if (revoked.includes(record.author.publicKey)) return "its report is by a key that was revoked";
  const member = records.job(miss.job)?.members.find((one) => one.scanner === scanner);
  if (member !== undefined && member.publicKey !== record.author.publicKey)
    return "its report is signed with another key than the job names";
  return null;
}
