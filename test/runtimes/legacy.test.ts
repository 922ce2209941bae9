import { spawn } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type OutsideWorld, startOutsideWorld } from "../api/outside-world.ts";
import { askServer, type Environment, type Server, startDeno, startNode, startWorkerd } from "./servers.ts";

// The example of the old program's own document, and its answers, to the byte.
const EXAMPLE = readFileSync(new URL("./fixtures/legacy-results.json", import.meta.url), "utf8");
const OLD_MASSCAN = readFileSync(new URL("./fixtures/legacy-old-masscan.json", import.meta.url), "utf8");
const JOBS = (id: number): string => `[{"id":${id},"cidr":"192.0.2.0/24","ports":"1-1024","proto":"tcp"}]`;
const TRACE = "traceroute to 192.0.2.7 (192.0.2.7), 30 hops max\n 1  gateway (10.0.0.1)  0.312 ms\n 2  * * *\n";

let world: OutsideWorld;
let environment: Environment;
let dir: string;

beforeAll(async () => {
  dir = mkdtempSync(join(tmpdir(), "portolan-legacy-"));
  world = await startOutsideWorld();
  environment = {
    PORTOLAN_REGION: "eu",
    PORTOLAN_REGISTRY_URL: world.store.sqld.url,
    PORTOLAN_LEDGER_URL: world.keeping.store.url,
    PORTOLAN_LEGACY_FROM_SCANNERS: "1",
  };
});

afterAll(async () => {
  await world?.stop();
  rmSync(dir, { recursive: true, force: true });
});

async function addJob(server: Server): Promise<number> {
  const headers = { authorization: `Bearer ${world.tokens.operator}`, "content-type": "application/json" };
  const answer = await askServer(server, "/v1/legacy-jobs", {
    method: "POST",
    headers,
    body: JSON.stringify({ cidr: "192.0.2.0/24", ports: "1-1024" }),
  });
  return ((await answer.json()) as { number: number }).number;
}

type Curled = { readonly status: string; readonly headers: string; readonly body: string; readonly code: number | null };

/** Asks again while a store of this busy machine does not answer in time: 503 means exactly that, and nothing was done. */
async function answered<T>(ask: () => Promise<T>, statusOf: (answer: T) => number): Promise<T> {
  let answer = await ask();
  for (let again = 0; again < 10 && statusOf(answer) === 503; again += 1) answer = await ask();
  return answer;
}

/** Real curl, without a shell; `{URL}` carries the token as the old scripts' one change. */
function curl(server: Server, args: readonly string[]): Promise<Curled> {
  return answered(
    () => curlOnce(server, args),
    ({ status }) => Number(status),
  );
}

async function curlOnce(server: Server, args: readonly string[]): Promise<Curled> {
  const url = server.url.replace("http://", `http://cron:${world.tokens.uploader}@`);
  const child = spawn("curl", ["-sS", "-D", "-", ...args.map((one) => one.replace("{URL}", url))], {
    cwd: dir,
    stdio: ["ignore", "pipe", "inherit"],
  });
  let text = "";
  child.stdout.on("data", (bytes: Buffer) => (text += bytes.toString()));
  const code = await new Promise<number | null>((resolve) => void child.once("close", resolve));
  const last = text.replace(/^HTTP\/1\.1 100 [^\r]*\r\n\r\n/, "");
  const end = last.indexOf("\r\n\r\n");
  const head = last.slice(0, end);
  return { code, status: head.split(" ")[1] ?? "", headers: head.toLowerCase(), body: last.slice(end + 4) };
}

const RUNTIMES = [
  { name: "node", start: startNode },
  { name: "deno", start: startDeno },
  { name: "workerd", start: startWorkerd },
] as const;

describe.each(RUNTIMES)("the old program's scripts on $name", ({ name, start }) => {
  let server: Server;

  beforeAll(async () => {
    server = await start(environment);
  });
  afterAll(async () => {
    await server?.stop();
  });

  test("send results, with curl as they always did", async () => {
    writeFileSync(join(dir, "data.json"), EXAMPLE);
    const sent = await curl(server, ["-H", "Content-Type: application/json", "-d", "@data.json", "{URL}/results"]);
    expect([sent.code, sent.status, sent.body, sent.headers.includes("portolan-refused")]).toEqual([0, "200", "", false]);
    writeFileSync(join(dir, "old.json"), OLD_MASSCAN);
    const old = await curl(server, ["-H", "Content-Type: application/json", "-d", "@old.json", "{URL}/results"]);
    expect([old.status, old.body]).toEqual(["200", ""]);
    expect(await world.open()).toEqual(["192.0.2.7:443/tcp", "192.0.2.8:22/tcp", "192.0.2.9:80/tcp"]);
  });

  test("fetch jobs and answer them", async () => {
    expect((await curl(server, ["{URL}/jobs"])).body).toBe("[]");
    const id = await addJob(server);
    const listed = await curl(server, ["{URL}/jobs"]);
    expect([listed.status, listed.body, listed.headers]).toEqual(["200", JOBS(id), expect.stringContaining("application/json")]);
    const put = await curl(server, ["-X", "PUT", "-H", "Content-Type: application/json", "-d", "@data.json", `{URL}/results/${id}`]);
    expect([put.status, put.body]).toEqual(["200", ""]);
    expect((await curl(server, ["{URL}/jobs"])).body).toBe("[]");
    const none = await curl(server, ["-X", "PUT", "-H", "Content-Type: application/json", "-d", "[]", "{URL}/results/99999"]);
    expect([none.status, JSON.parse(none.body)]).toMatchObject(["400", { detail: "Job does not exist" }]);
  });

  test("send traceroutes and read them", async () => {
    writeFileSync(join(dir, "trace.txt"), TRACE);
    const sent = await curl(server, ["-F", "dest=192.0.2.7", "-F", "traceroute=@trace.txt", "{URL}/traceroute"]);
    expect([sent.status, sent.body, sent.headers]).toEqual(["201", "", expect.stringContaining("location: /traceroute/192.0.2.7")]);
    const read = await curl(server, ["{URL}/traceroute/192.0.2.7"]);
    expect([read.status, read.body, read.headers]).toEqual(["200", TRACE, expect.stringContaining("content-type: text/plain")]);
  });

  test("are refused as the table says", async () => {
    expect((await curl(server, ["-d", "[]", "{URL}/results"])).status).toBe("415");
    expect((await curl(server, ["-H", "Content-Type: application/json", "-d", "{nonsense", "{URL}/results"])).status).toBe("400");
    const partly = await curl(server, ["-H", "Content-Type: application/json", "-d", '[{"ip":"x","ports":[]}]', "{URL}/results"]);
    expect([partly.status, partly.headers]).toEqual(["200", expect.stringContaining("portolan-refused: 1")]);
    const stranger = await askServer(server, "/jobs");
    expect([stranger.status, stranger.headers.has("www-authenticate")]).toEqual([401, true]);
    const forged = await askServer(server, "/jobs", { headers: { "x-forwarded-for": "192.0.2.250", "x-real-ip": "192.0.2.250" } });
    expect(forged.status).toBe(401);
  });

  test("leave the page of jobs to browsers", async () => {
    const page = await askServer(server, "/jobs", { headers: { accept: "text/html,application/xhtml+xml" } });
    expect([page.status, page.headers.get("location")]).toEqual([303, expect.stringContaining("/login")]);
  });

  test("are let in from a registered scanner's address, as the runtime knows it", async () => {
    if (name === "workerd") return expect((await askServer(server, "/jobs")).status).toBe(401);
    await world.store.registry.addScanner({ name: "local", region: "eu", addresses: ["127.0.0.1"], publicKey: `U${"B".repeat(55)}` });
    try {
      await expect.poll(async () => (await askServer(server, "/jobs")).status).toBe(200);
      expect((await askServer(server, "/v1/services")).status).toBe(401);
    } finally {
      await world.store.registry.deleteScanner("local");
    }
    return undefined;
  });
});

test("behind a proxy that is configured, its header tells the address, and only its own entry of it", async () => {
  const server = await startNode({ ...environment, PORTOLAN_CLIENT_ADDRESS_HEADER: "X-Forwarded-For" });
  try {
    const from = async (value: string): Promise<number> =>
      (
        await answered(
          () => askServer(server, "/jobs", { headers: { "x-forwarded-for": value } }),
          ({ status }) => status,
        )
      ).status;
    expect([await from("192.0.2.250"), await from("10.9.9.9, 192.0.2.250"), await from("192.0.2.250, 10.9.9.9")]).toEqual([200, 200, 401]);
  } finally {
    await server.stop();
  }
});

test("10 MB on a slow line arrive, and are taken", async () => {
  const server = await startNode(environment);
  try {
    const entry = '{"ip":"192.0.2.50","timestamp":"1700000000","ports":[{"port":PORT,"proto":"tcp","status":"open"}]}';
    const entries = Array.from({ length: 100_000 }, (_, index) => entry.replace("PORT", String(index % 60_000)));
    writeFileSync(join(dir, "slow.json"), `[${entries.join(",\n")}]`);
    // The old program gave up after 5 s; PORTOLAN_UPLOAD_RATE=100k is the slowest line that has to work.
    const rate = process.env["PORTOLAN_UPLOAD_RATE"] ?? "1200k";
    const json = ["-H", "Content-Type: application/json", "--data-binary", "@slow.json"];
    const sent = await curl(server, ["--limit-rate", rate, ...json, "{URL}/results"]);
    expect(sent.status).toBe("200");
    expect((await world.ledger.counts()).open).toBeGreaterThanOrEqual(60_000);
  } finally {
    await server.stop();
  }
}, 300_000);
