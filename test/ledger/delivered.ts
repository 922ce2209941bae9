import { decodeSightings, encodeSightings } from "../../src/core/columns.ts";
import type { JobSpec } from "../../src/core/messages/job.ts";
import { containsPort } from "../../src/core/port.ts";
import { containsAddress } from "../../src/core/range.ts";
import { tileAt } from "../../src/core/tile.ts";
import type { Statement } from "../../src/core/messages/record.ts";
import { chainHash, statementId } from "../../src/core/statement.ts";
import type { Database } from "../../src/ledger/database.ts";
import { ledgerOn } from "../../src/ledger/ledger.ts";
import type { Ledger, PeerItem } from "../../src/ledger/types.ts";
import { contextAt, sha256, uploadOf } from "./builders.ts";

/** The same records with the chain that their logs would really have. */
export function chained(items: readonly PeerItem[]): PeerItem[] {
  const chains = new Map<string, string>();
  const byPosition = items.toSorted((a, b) => a.acceptance.rseq - b.acceptance.rseq);
  for (const { id, acceptance } of byPosition) {
    const { log, rseq, stampMs, judged } = acceptance;
    chains.set(`${log}/${rseq}`, chainHash({ log, rseq, previous: chains.get(`${log}/${rseq - 1}`) ?? "", id, stampMs, judged }, sha256));
  }
  return items.map((item) => {
    const chain = chains.get(`${item.acceptance.log}/${item.acceptance.rseq}`) ?? "";
    return { ...item, acceptance: { ...item.acceptance, chain } };
  });
}

/** Each kind refers to those before it only. */
const REFERRED: readonly Statement["kind"][] = ["job", "part", "report", "tile-complete"];

/**
 * The same history as honest keepers accept it: scanners sign what they say under their own names, with the keys that the jobs
 * name, and no part has sightings outside its tile. Ids change with that, and what refers to them.
 */
export function bound(items: readonly PeerItem[]): PeerItem[] {
  const keys = new Map(items.map(({ author }) => [author.name, author.publicKey]));
  const ids = new Map<string, string>();
  const made = new Map<string, PeerItem>();
  const rank = ({ statement }: PeerItem): number => {
    const place = REFERRED.indexOf(statement.kind);
    return place < 0 ? REFERRED.length : place;
  };
  const specs = new Map(items.flatMap(({ id, statement }) => (statement.kind === "job" ? [[id, statement.content] as const] : [])));
  for (const stray of items.toSorted((a, b) => rank(a) - rank(b))) {
    const item = insideTile(stray, specs);
    const statement = rewritten(item, keys, (id) => ids.get(id) ?? id);
    const id = statementId(statement, sha256);
    ids.set(stray.id, id);
    made.set(`${item.acceptance.log}/${item.acceptance.rseq}`, { ...item, statement, id });
  }
  return items.map((item) => made.get(`${item.acceptance.log}/${item.acceptance.rseq}`) ?? item);
}

/** A part keeps what lies in its tile, or sees one pair of it; a part of a job that never came is an upload. */
function insideTile(item: PeerItem, specs: ReadonlyMap<string, JobSpec>): PeerItem {
  if (item.statement.kind !== "part" || item.payload === null) return item;
  const { key } = item.statement.content;
  const spec = specs.get(key.job);
  const all = decodeSightings(item.payload);
  if (spec === undefined) return { ...item, ...uploadOf(all, item.id) };
  const tile = tileAt(spec, key.tile);
  const [range, ports] = [tile.ranges[0], tile.ports[0]];
  if (range === undefined || ports === undefined) throw new Error("a tile without pairs");
  const inside = all.filter(
    ({ address, protocol, port }) => containsAddress(tile.ranges, address) && containsPort(tile.ports, protocol, port),
  );
  const kept =
    inside.length > 0 ? inside : [{ address: range.first, protocol: ports.protocol, port: ports.first, observedAtS: 1_700_000_000 }];
  const payload = encodeSightings(kept);
  const content = { ...item.statement.content, sightings: kept.length, payloadSha256: sha256(payload), payloadBytes: payload.length };
  return { ...item, payload, statement: { ...item.statement, content } };
}

function rewritten({ statement, author }: PeerItem, keys: ReadonlyMap<string, string>, now: (id: string) => string): Statement {
  switch (statement.kind) {
    case "job": {
      const members = statement.content.members.map((member) => ({ ...member, publicKey: keys.get(member.scanner) ?? member.publicKey }));
      return { ...statement, content: { ...statement.content, members } };
    }
    case "part": {
      const { content } = statement;
      return { ...statement, content: { ...content, scanner: author.name, key: { ...content.key, job: now(content.key.job) } } };
    }
    case "report": {
      const { content } = statement;
      const parts = content.parts.map((part) => ({ ...part, id: now(part.id) }));
      return { ...statement, content: { ...content, scanner: author.name, parts, key: { ...content.key, job: now(content.key.job) } } };
    }
    case "tile-complete": {
      const { content } = statement;
      const reports = content.reports.map((report) => ({ ...report, id: now(report.id) }));
      return { ...statement, content: { ...content, reports, job: now(content.job) } };
    }
    case "release": {
      const { content } = statement;
      const agreeing = content.agreeing === null ? null : now(content.agreeing);
      return { ...statement, content: { ...content, job: now(content.job), tileComplete: now(content.tileComplete), agreeing } };
    }
    case "probe": {
      const order = { ...statement.content.order, job: now(statement.content.order.job), scanner: author.name };
      return { ...statement, content: { ...statement.content, order } };
    }
    case "tile-abandoned":
      return { ...statement, content: { ...statement.content, job: now(statement.content.job) } };
    case "reassignment":
      return { ...statement, content: { ...statement.content, job: now(statement.content.job) } };
    case "job-control":
      return { ...statement, content: { ...statement.content, job: now(statement.content.job) } };
    case "upload":
    case "traceroute":
    case "revoke":
    case "scanner-lost":
    case "scanner-heard":
    case "deny":
    case "deny-lift":
      return statement;
  }
}

/** Does all deferred work. */
export async function drain(ledger: Ledger, epoch: number, window?: number): Promise<void> {
  for (let windows = 0; windows < 100_000; windows++) {
    if (!(await ledger.runDeferred({ epoch, sha256, ...(window === undefined ? {} : { window }) }))) return;
  }
  throw new Error("deferred work does not end");
}

/** A ledger that has taken groups of records one after another, and done what was put off. */
export async function ledgerWith(database: Database, groups: readonly (readonly PeerItem[])[]): Promise<{ ledger: Ledger; epoch: number }> {
  const ledger = ledgerOn(database, "eu");
  const epoch = (await ledger.takeLease({ holder: "k1", nowMs: 0, ttlMs: 1 }))?.epoch ?? -1;
  for (const group of groups) await ledger.applyPeers({ items: group }, contextAt(epoch, 0));
  await drain(ledger, epoch);
  return { ledger, epoch };
}
