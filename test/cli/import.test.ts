import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import BetterSqlite3 from "better-sqlite3";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { run } from "../../src/cli/main.ts";
import { parseGoTime } from "../../src/core/import/go-time.ts";
import { type OutsideWorld, startOutsideWorld } from "../api/outside-world.ts";

let world: OutsideWorld;
let cwd: string;

beforeAll(async () => {
  cwd = mkdtempSync(join(tmpdir(), "portolan-import-"));
  world = await startOutsideWorld();
});

afterAll(async () => {
  await world?.stop();
  rmSync(cwd, { recursive: true, force: true });
});

type Ran = { readonly code: number; readonly out: string; readonly err: string; readonly result: Record<string, unknown> };

async function portolan(...args: string[]): Promise<Ran> {
  const text = { out: "", err: "" };
  const sink = (name: "out" | "err") => ({
    isTTY: false,
    columns: 100,
    write: (piece: string) => void (text[name] += piece),
    stream: null,
  });
  const code = await run([...args, "--json"], {
    stdout: sink("out"),
    stderr: sink("err"),
    env: { PORTOLAN_URL: "http://portolan.test", PORTOLAN_TOKEN: world.tokens.operator },
    cwd,
    fetch: (request) => world.fetch(request),
    now: () => Date.now(),
    sleep: async () => undefined,
    signal: new AbortController().signal,
  });
  const result = (text.out.startsWith("{") ? JSON.parse(text.out) : {}) as Record<string, unknown>;
  return { code, ...text, result };
}

function file(name: string, content: string | Uint8Array): string {
  writeFileSync(join(cwd, name), content);
  return name;
}

/** masscan's binary format: a header of 99 bytes, then records of type, length and value. */
function binaryScan(services: readonly (readonly [address: string, port: number])[]): Uint8Array {
  const header = Buffer.alloc(99);
  header.write("masscan/1.1\ns:1700000000\n");
  const records = services.map(([address, port]) => {
    const record = Buffer.alloc(15);
    record.set([6, 13], 0);
    record.writeUInt32BE(1_700_000_000, 2);
    record.set(address.split(".").map(Number), 6);
    record[10] = 6;
    record.writeUInt16BE(port, 11);
    record.set([0x12, 64], 13);
    return record;
  });
  return Buffer.concat([header, ...records, header]);
}

describe("portolan import", () => {
  test("tells the format, counts what it refused, and does the same thing once", async () => {
    const name = file("hosts.txt", "192.0.2.1:22\nnonsense\n192.0.2.2:53/udp\n");
    const rehearsed = await portolan("import", name, "--dry-run");
    expect([rehearsed.code, rehearsed.result]).toMatchObject([6, { dryRun: true, format: "lines", sightings: 2, refused: 1 }]);
    expect(await world.open()).toEqual([]);
    const first = await portolan("import", name);
    expect([first.code, first.result]).toMatchObject([6, { source: "hosts.txt", sightings: 2, refused: 1, examples: [{ line: 2 }] }]);
    expect(await world.open()).toEqual(["192.0.2.1:22/tcp", "192.0.2.2:53/udp"]);
    const before = await world.ledger.frontier();
    await portolan("import", name);
    expect(await world.ledger.frontier()).toEqual(before);
  });

  test("has masscan convert its binary files", async () => {
    const name = file(
      "scan.bin",
      binaryScan([
        ["192.0.2.3", 22],
        ["192.0.2.4", 443],
      ]),
    );
    expect(await portolan("import", name, "--source", "old-server")).toMatchObject({ code: 0, result: { format: "list", sightings: 2 } });
    expect(await world.open()).toEqual(expect.arrayContaining(["192.0.2.3:22/tcp", "192.0.2.4:443/tcp"]));
  });

  test("says what is wrong with a file that is not there", async () => {
    expect(await portolan("import", "nothing.json")).toMatchObject({
      code: 2,
      err: expect.stringContaining("nothing.json (ENOENT)") as string,
    });
    expect((await portolan("import")).code).toBe(2);
  });

  test("sends a file of more than one batch", async () => {
    const lines = Array.from(
      { length: 60_000 },
      (_, index) => `open tcp ${1_000 + Math.floor(index / 250)} 192.0.2.${index % 250} 1700000000`,
    );
    expect(await portolan("import", file("big.list", `#masscan\n${lines.join("\n")}\n# end\n`))).toMatchObject({
      code: 0,
      result: { sightings: 60_000 },
    });
    expect((await world.ledger.counts()).open).toBeGreaterThanOrEqual(60_000);
  });
});

/** A database of the old program after its last migration, with what years left in it. */
function oldDatabase(name: string): string {
  const path = join(cwd, name);
  const db = new BetterSqlite3(path);
  db.exec(`create table scan (ip text, port integer, proto text, firstseen datetime, lastseen datetime);
    create table job (id int, cidr text not null, ports text, proto text, requested_by text, submitted datetime, received datetime, count int);
    create table submission (host text not null, job_id int, submission_time datetime);
    create table traceroute (dest text unique, path text);
    create table users (email text unique);
    create table groups (group_name text unique);
    create table audit (time datetime, user text, action text, info text);
    create table scan_00003_1676455200 (ip text, port integer);`);
  const scan = db.prepare("insert into scan values (?, ?, ?, ?, ?)");
  const rows: readonly (readonly unknown[])[] = [
    ["2001:db8::a", 22, "tcp", "2020-01-01 00:00:00+00:00", "2023-02-15 10:00:00+00:00"],
    ["2001:db8::a", 22, "tcp", "2020-01-01 00:00:00+00:00", "2023-02-15 10:00:00+00:00"],
    ["2001:db8::a", 22, "tcp", "2019-01-01 00:00", "2019-06-01 00:00"],
    ["2001:db8::b", 53, "udp", "2021-01-01 00:00:00.123456789+01:00", "2021-01-01 00:00:00.123456789+01:00"],
    ["not an address", 80, "tcp", "2020-01-01 00:00:00+00:00", "2020-01-01 00:00:00+00:00"],
    ["192.0.2.300", 80, "tcp", "2020-01-01 00:00:00+00:00", "2020-01-01 00:00:00+00:00"],
    ["2001:db8::c", 70_000, "tcp", "2020-01-01 00:00:00+00:00", "2020-01-01 00:00:00+00:00"],
    ["2001:db8::c", 80, "icmp", "2020-01-01 00:00:00+00:00", "2020-01-01 00:00:00+00:00"],
    ["2001:db8::c", 80, "tcp", "long ago", "2020-01-01 00:00:00+00:00"],
  ];
  for (const row of rows) scan.run(...row);
  db.exec(`insert into scan_00003_1676455200 values ('2001:db8::dead', 1);
    insert into job(cidr, ports, proto, submitted, received) values ('192.0.2.0/28', '22,80', 'tcp', '2023-01-01 00:00:00+00:00', null),
      ('nonsense', '1', 'tcp', '2023-01-01 00:00:00+00:00', null), ('198.51.100.0/24', '1', 'tcp', '2023-01-01 00:00:00+00:00', null),
      ('192.0.2.0/24', '1-1024', 'tcp', '2022-01-01 00:00:00+00:00', '2022-01-02 00:00:00+00:00');
    insert into submission values ('10.0.0.1', null, '2023-01-01'), ('10.0.0.1', 4, '2023-01-01');
    insert into traceroute values ('2001:db8::a', '1 gateway'), ('nonsense', 'x');
    insert into users values ('anna@example.org')`);
  db.close();
  return name;
}

describe("portolan import legacy-db", () => {
  test("takes over what can be read, counts the rest, closes nothing, and changes nothing the second time", async () => {
    const name = oldDatabase("scan.db");
    const services = { read: 9, imported: 4, refused: 5 };
    const before = await world.ledger.frontier();
    const rehearsed = await portolan("import", "legacy-db", name, "--region", "eu", "--dry-run");
    expect(rehearsed.result).toMatchObject({ dryRun: true, services });
    expect(await world.ledger.frontier()).toEqual(before);
    const first = await portolan("import", "legacy-db", name, "--region", "eu");
    expect([first.code, first.err, first.result]).toMatchObject([
      6,
      "",
      {
        services: {
          ...services,
          reasons: {
            "no address": 2,
            "the port is not 0 to 65535": 1,
            "the protocol is none of tcp, udp, sctp": 1,
            "a time cannot be read": 1,
          },
        },
        jobs: { read: 3, imported: 1, refused: 2 },
        traceroutes: { read: 2, imported: 1, refused: 1 },
        finished: { jobs: 1, submissions: 2 },
        users: ["anna@example.org"],
      },
    ]);
    expect(await world.ledger.host("2001:db8::a")).toMatchObject([
      { port: 22, state: "open", firstSeenMs: Date.UTC(2019, 0, 1), lastSeenMs: Date.UTC(2023, 1, 15, 10), seenBy: [] },
    ]);
    expect(await world.ledger.host("2001:db8::dead")).toEqual([]);
    expect((await world.ledger.traceroute("2001:db8::a"))?.path).toBe("1 gateway");
    const jobs = await world.ledger.legacyJobs({ nowMs: Date.now(), open: true, limit: 10 });
    expect(jobs).toMatchObject([{ cidr: "192.0.2.0/28", ports: "22,80", protocol: "tcp" }]);
    const after = await world.ledger.frontier();
    const second = await portolan("import", "legacy-db", name, "--region", "eu");
    expect(second.result).toEqual(first.result);
    expect(await world.ledger.frontier()).toEqual(after);
    expect(await world.ledger.legacyJobs({ nowMs: Date.now(), open: true, limit: 10 })).toHaveLength(1);
  });

  test("refuses what is no such database", async () => {
    expect((await portolan("import", "legacy-db", file("no.db", "hello"), "--region", "eu")).code).toBe(2);
    expect((await portolan("import", "legacy-db", "absent.db", "--region", "eu")).code).toBe(2);
    expect((await portolan("import", "legacy-db", "scan.db")).code).toBe(2);
  });
});

test("times of the old database are read in all their spellings, as UTC", () => {
  const at = (text: string): string | null => {
    const seconds = parseGoTime(text);
    return seconds === null ? null : new Date(seconds * 1_000).toISOString();
  };
  expect(at("2023-02-15 10:00:00+00:00")).toBe("2023-02-15T10:00:00.000Z");
  expect(at("2023-02-15 10:00:00.5+02:00")).toBe("2023-02-15T08:00:00.000Z");
  expect(at("2024-02-29T23:59:59Z")).toBe("2024-02-29T23:59:59.000Z");
  expect(at("2023-02-15 10:00")).toBe("2023-02-15T10:00:00.000Z");
  expect(at("2023-02-15 10:00:00 +0000 UTC")).toBe("2023-02-15T10:00:00.000Z");
  expect(["2023-02-29 00:00:00", "", "yesterday", "1969-12-31 23:59:59", "2023-13-01", "x".repeat(1_000)].map(at)).toEqual([
    null,
    null,
    null,
    null,
    null,
    null,
  ]);
});
