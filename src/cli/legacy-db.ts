import { createHash } from "node:crypto";
import { DatabaseSync } from "node:sqlite";
import { formatAddress, parseAddress } from "../core/address.ts";
import type { Sighting } from "../core/columns.ts";
import { PortolanError } from "../core/errors.ts";
import { parseGoTime } from "../core/import/go-time.ts";
import type { Protocol } from "../core/port.ts";

/** One row of the old `scan` table: when a service was first and last seen, or why the row cannot be used. */
export type OldScan =
  | { readonly ok: true; readonly first: Sighting; readonly last: Sighting }
  | { readonly ok: false; readonly reason: string };

/** An open job; `origin` is the same whenever it is read. */
export type OldJob = {
  readonly number: number;
  readonly cidr: string;
  readonly ports: string;
  readonly protocol: string;
  readonly origin: string;
};

/** A database of the old program, opened for reading only. */
export type OldDatabase = {
  scans(): IterableIterator<OldScan>;
  openJobs(): OldJob[];
  traceroutes(): { readonly destination: string | null; readonly path: string }[];
  users(): string[];
  /** Rows that become no facts: finished jobs and submissions. */
  finished(): { readonly jobs: number; readonly submissions: number };
  close(): void;
};

const LIST_MAX = 100_000;

/** Opens the file. Throws `invalid` when it cannot be read or holds no `scan` table. */
export function openOldDatabase(file: string): OldDatabase {
  let database: DatabaseSync;
  try {
    database = new DatabaseSync(file, { readOnly: true });
  } catch (error) {
    throw new PortolanError("invalid", `cannot open ${file} as an SQLite database; check the path`, { cause: error });
  }
  const tables = tablesOf(database, file);
  if (!tables.has("scan")) {
    database.close();
    throw new PortolanError("invalid", `${file} has no table "scan"; is it a database of the old program?`);
  }
  const all = (table: string, sql: string): Record<string, unknown>[] =>
    tables.has(table) ? database.prepare(`${sql} limit ${LIST_MAX}`).all() : [];
  return {
    scans: () => scansOf(database),
    openJobs: () =>
      all("job", "select rowid as number, cidr, ports, proto, submitted from job where received is null order by rowid").map(jobOf),
    traceroutes: () =>
      all("traceroute", "select dest, path from traceroute order by dest").map(({ dest, path }) => ({
        destination: addressOf(dest),
        path: textOf(path),
      })),
    users: () => all("users", "select email from users order by email").map(({ email }) => String(email)),
    finished: () => ({
      jobs: Number(all("job", "select count(*) as n from job where received is not null")[0]?.["n"] ?? 0),
      submissions: Number(all("submission", "select count(*) as n from submission")[0]?.["n"] ?? 0),
    }),
    close: () => database.close(),
  };
}

function tablesOf(database: DatabaseSync, file: string): Set<string> {
  try {
    const rows = database.prepare("select name from sqlite_master where type = 'table'").all();
    return new Set(rows.map(({ name }) => String(name)));
  } catch (error) {
    database.close();
    throw new PortolanError("invalid", `${file} is no SQLite database; check the path`, { cause: error });
  }
}

/** In an order that does not depend on how the file was written, so that a second import is the same one. */
function* scansOf(database: DatabaseSync): IterableIterator<OldScan> {
  const rows = database
    .prepare("select ip, port, proto, firstseen, lastseen from scan order by ip, port, proto, firstseen, lastseen, rowid")
    .iterate();
  for (const { ip, port, proto, firstseen, lastseen } of rows) {
    const key = addressOf(ip);
    const number = typeof port === "bigint" ? Number(port) : port;
    const [firstAtS, lastAtS] = [parseGoTime(firstseen), parseGoTime(lastseen)];
    if (key === null) yield { ok: false, reason: "no address" };
    else if (typeof number !== "number" || !Number.isInteger(number) || number < 0 || number > 65_535)
      yield { ok: false, reason: "the port is not 0 to 65535" };
    else if (!isProtocol(proto)) yield { ok: false, reason: "the protocol is none of tcp, udp, sctp" };
    else if (firstAtS === null || lastAtS === null) yield { ok: false, reason: "a time cannot be read" };
    else {
      const service = { address: parseAddress(key), port: number, protocol: proto };
      yield { ok: true, first: { ...service, observedAtS: firstAtS }, last: { ...service, observedAtS: lastAtS } };
    }
  }
}

function jobOf({ number, cidr, ports, proto, submitted }: Record<string, unknown>): OldJob {
  const facts = [number, cidr, ports, proto, submitted].map(textOf);
  const origin = `legacy-db:${createHash("sha256").update(JSON.stringify(facts)).digest("hex").slice(0, 32)}`;
  return { number: Number(number), cidr: facts[1] ?? "", ports: facts[2] ?? "", protocol: facts[3] ?? "", origin };
}

function textOf(value: unknown): string {
  return typeof value === "string" || typeof value === "number" || typeof value === "bigint" ? String(value) : "";
}

function addressOf(text: unknown): string | null {
  try {
    return typeof text === "string" ? formatAddress(parseAddress(text.trim())) : null;
  } catch {
    return null;
  }
}

function isProtocol(name: unknown): name is Protocol {
  return name === "tcp" || name === "udp" || name === "sctp";
}
