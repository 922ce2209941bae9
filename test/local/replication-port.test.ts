import { mkdtempSync, rmSync } from "node:fs";
import { connect } from "node:net";
import { networkInterfaces, tmpdir } from "node:os";
import { join } from "node:path";
import { createClient } from "@libsql/client/web";
import { afterAll, beforeAll, expect, test } from "vitest";
import { Authority, type TlsFiles } from "../../src/local/certificates.ts";
import { freePort } from "../../src/local/ports.ts";
import { type Sqld, type SqldOptions, startSqld } from "../../src/local/sqld.ts";
import { until } from "../bus/until.ts";

// sqld's replication port checks no token: whoever gets in reads everything and writes through it.

const TIMEOUT_MS = 2_000;
const dir = mkdtempSync(join(tmpdir(), "portolan-replication-"));
const servers: Sqld[] = [];
let authority: Authority;
let primary: Sqld;
let grpcPort = 0;

async function start(options: SqldOptions): Promise<Sqld> {
  const sqld = await startSqld(options);
  servers.push(sqld);
  return sqld;
}

async function rows(sqld: { readonly url: string }, sql = "select a from t order by a"): Promise<unknown[]> {
  const fetchSoon = (request: Request): Promise<Response> => fetch(request, { signal: AbortSignal.timeout(TIMEOUT_MS) });
  const client = createClient({ url: sqld.url, fetch: fetchSoon });
  try {
    return (await client.execute(sql)).rows.map((row) => row[0]);
  } finally {
    client.close();
  }
}

beforeAll(async () => {
  authority = new Authority(join(dir, "authority"));
  grpcPort = await freePort();
  primary = await start({ dir: join(dir, "primary"), grpcPort, grpcTls: authority.server("eu") });
  await rows(primary, "create table t(a integer primary key)");
  await rows(primary, "insert into t values (1), (2)");
});
afterAll(async () => {
  await Promise.all(servers.map((server) => server.stop()));
  rmSync(dir, { recursive: true, force: true });
});

test("a replica with a certificate of the authority gets all rows, what is there and what comes", async () => {
  const url = `https://127.0.0.1:${grpcPort}`;
  const replica = await start({ dir: join(dir, "replica"), primaryGrpcUrl: url, primaryTls: authority.client("us") });
  expect(await rows(replica)).toEqual([1, 2]);
  await rows(primary, "insert into t values (3)");
  await until("the new row", async () => (await rows(replica)).length === 3, 30_000);
});

/** A certificate that is as good as ours, from somebody else's authority. */
const foreign = (): TlsFiles => ({ ...new Authority(join(dir, "foreign")).client("us"), caFile: join(dir, "authority/ca.pem") });

test.concurrent.each([
  { rogue: "without TLS", options: () => ({ primaryGrpcUrl: `http://127.0.0.1:${grpcPort}` }) },
  {
    rogue: "with a certificate of another authority",
    options: () => ({ primaryGrpcUrl: `https://127.0.0.1:${grpcPort}`, primaryTls: foreign() }),
  },
  {
    rogue: "with the certificate of a server instead of a replica's",
    options: () => ({ primaryGrpcUrl: `https://127.0.0.1:${grpcPort}`, primaryTls: authority.server("us") }),
  },
])("a replica $rogue gets no row and writes nothing", async ({ rogue, options }) => {
  const httpPort = await freePort();
  // It is asked while it tries, because it never becomes ready.
  const starting = startSqld({ dir: join(dir, rogue), httpPort, readyTimeoutMs: 2 * TIMEOUT_MS, ...options() }).then(
    () => "ready",
    () => "never ready",
  );
  const asked = async (sql: string): Promise<string> => {
    try {
      return `rows: ${(await rows({ url: `http://127.0.0.1:${httpPort}` }, sql)).length}`;
    } catch {
      return "nothing";
    }
  };
  await until("its port", () => isOpen("127.0.0.1", httpPort), 30_000);
  expect(await Promise.all([asked("select a from t"), asked("insert into t values (666)")])).toEqual(["nothing", "nothing"]);
  expect(await starting).toBe("never ready");
  expect(await rows(primary, "select a from t where a = 666")).toEqual([]);
});

test("the replication port listens on loopback only, and elsewhere it is refused without certificates", async () => {
  expect(await isOpen("127.0.0.1", grpcPort)).toBe(true);
  const outside = Object.values(networkInterfaces()).flatMap((list) => list ?? []);
  for (const { address, family } of outside.filter((one) => !one.internal && one.family === "IPv4")) {
    expect([address, family, await isOpen(address, grpcPort)]).toEqual([address, family, false]);
  }
  const port = await freePort();
  await expect(startSqld({ dir: join(dir, "open"), grpcPort: port, grpcHost: "0.0.0.0" })).rejects.toThrow(
    "give it certificates, or 127.0.0.1",
  );
});

function isOpen(host: string, port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect({ host, port, timeout: 1_000 });
    const finish = (open: boolean): void => {
      socket.destroy();
      resolve(open);
    };
    socket.once("connect", () => finish(true));
    socket.once("error", () => finish(false));
    socket.once("timeout", () => finish(false));
  });
}
