import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { until } from "../bus/until.ts";
import { basic, type OutsideWorld, startOutsideWorld } from "./outside-world.ts";

let world: OutsideWorld;

beforeAll(async () => {
  world = await startOutsideWorld();
});

afterAll(async () => {
  await world.stop();
});

const JSON_TYPE = { "content-type": "application/json" };

function post(body: string, path = "/results", headers: Record<string, string> = JSON_TYPE): Promise<Response> {
  return world.ask(path === "/results" ? "POST" : "PUT", path, { body, headers });
}

function record(ip: string, ...ports: number[]): string {
  return JSON.stringify([{ ip, ports: ports.map((port) => ({ port, proto: "tcp", status: "open" })) }]);
}

async function addJob(body: object = {}): Promise<number> {
  const answer = await world.ask("POST", "/v1/legacy-jobs", {
    body: JSON.stringify({ cidr: "192.0.2.0/24", ports: "1-1024", ...body }),
    headers: { ...JSON_TYPE, authorization: `Bearer ${world.tokens.operator}` },
  });
  expect([answer.status, answer.status === 201 ? "" : await answer.clone().text()]).toEqual([201, ""]);
  return ((await answer.json()) as { number: number }).number;
}

async function listed(): Promise<{ id: number }[]> {
  const answer = await world.ask("GET", "/jobs");
  return (await answer.json()) as { id: number }[];
}

describe("POST /results", () => {
  test("takes masscan's own shape: every element of ports, banners never, and says nothing", async () => {
    const body = `[
  {"ip": "192.0.2.7", "timestamp": "1700000000",
   "ports": [{"port": 443, "proto": "tcp", "status": "open", "reason": "syn-ack", "ttl": 52}, {"port": 8443, "proto": "tcp", "status": "open"}]},
  {"ip": "192.0.2.7", "ports": [{"port": 22, "proto": "tcp",
   "service": {"name": "ssh", "banner": "SSH-2.0-x"}}]}
]`;
    const answer = await post(body);
    expect([answer.status, await answer.text(), answer.headers.get("portolan-refused")]).toEqual([200, "", null]);
    expect(await world.open()).toEqual(["192.0.2.7:443/tcp", "192.0.2.7:8443/tcp"]);
    const [service] = await world.ledger.host("192.0.2.7");
    expect(service).toMatchObject({ firstSeenMs: 1_700_000_000_000, seenBy: [] });
  });

  test("is the same record when it is repeated", async () => {
    const before = await world.ledger.frontier();
    const body = '[{"ip":"192.0.2.7","timestamp":"1700000000","ports":[{"port":444,"proto":"tcp","status":"open"}]}]';
    // 503 says that the keeper of this busy machine took longer than 5 s; the same bytes again are the same record.
    await until("the first answer", async () => (await post(body)).status === 200);
    expect((await post(body)).status).toBe(200);
    const after = await world.ledger.frontier();
    expect(Object.values(after).map((rseq, index) => rseq - (Object.values(before)[index] ?? -1))).toEqual([1]);
  });

  test.each([
    [
      "an old masscan's file without brackets",
      '{   "ip": "192.0.2.8",   "ports": [ {"port": 80, "proto": "tcp", "status": "open"} ] },\n{finished: 1}\n',
      200,
      null,
    ],
    ["nothing found", "[]", 200, null],
    ["an empty file", "", 200, null],
    ["only the old trailer", "{finished: 1}\n", 200, null],
    ["one wrong record of two", `[{"ip":"nonsense","ports":[]},${record("192.0.2.8", 81).slice(1)}`, 200, "1"],
    ["a cut file", `${record("192.0.2.8", 82).slice(0, -1)},\n{"ip": "192.0`, 200, "1"],
    ["an array of something else", '["x", 7]', 200, "2"],
    ["an object", "{}", 400, null],
    ["no JSON", "hello", 400, null],
    ["a broken array", "[hello", 400, null],
    ["a text", '"[]"', 400, null],
  ])("%s is answered as it has to be", async (_, body, status, refused) => {
    const answer = await post(body);
    expect([answer.status, answer.headers.get("portolan-refused")]).toEqual([status, refused]);
    if (status !== 200) expect(await answer.json()).toMatchObject({ code: "invalid", status });
  });

  test("refuses other content types, and takes parameters of the right one", async () => {
    expect((await post("[]", "/results", { "content-type": "text/plain" })).status).toBe(415);
    expect((await post("[]", "/results", { "content-type": "application/json; charset=utf-8" })).status).toBe(200);
    const answer = await world.ask("POST", "/results", { body: "[]", headers: { "content-type": "application/x-www-form-urlencoded" } });
    expect([answer.status, await answer.json()]).toMatchObject([415, { status: 415 }]);
  });

  test("refuses a body above 32 MiB, announced or not", async () => {
    expect((await post("[]", "/results", { ...JSON_TYPE, "content-length": String(33 * 1024 * 1024) })).status).toBe(413);
    const piece = new TextEncoder().encode(" ".repeat(1024 * 1024));
    let sent = 0;
    const body = new ReadableStream({
      pull: (controller) => {
        sent += 1;
        if (sent > 40) controller.close();
        else controller.enqueue(piece);
      },
    });
    const init = { body, headers: JSON_TYPE, duplex: "half" } as { body: BodyInit; headers: Record<string, string> };
    expect([(await world.ask("POST", "/results", init)).status, sent < 40]).toEqual([413, true]);
  });
});

describe("who may", () => {
  test("send: a bearer token, the token as password, and nobody else", async () => {
    const ask = async (authorization: string | undefined): Promise<number> =>
      (await world.ask("GET", "/jobs", { headers: { authorization: authorization ?? "" } })).status;
    const { uploader, operator, viewer } = world.tokens;
    expect(await Promise.all([ask(`Bearer ${uploader}`), ask(basic(uploader)), ask(basic(operator))])).toEqual([200, 200, 200]);
    expect(await Promise.all([ask(basic(viewer)), ask(`Bearer ${viewer}`)])).toEqual([403, 403]);
    expect(await Promise.all([ask("Basic !"), ask(basic("wrong")), ask("Digest x"), ask(undefined)])).toEqual([401, 401, 401, 401]);
    const refused = await world.askFrom(null, false, { method: "POST", path: "/results", body: "[]" });
    expect([refused.status, refused.headers.get("www-authenticate")]).toEqual([401, expect.stringContaining("realm=")]);
    expect((await world.ask("GET", "/v1/me")).status).toBe(401);
  });

  test("send without a credential: a registered scanner's address, only where that is allowed", async () => {
    const send = async (address: string | null, allowed: boolean): Promise<number> =>
      (await world.askFrom(address, allowed, { method: "POST", path: "/results", body: record("192.0.2.9", 25) })).status;
    expect(await send("192.0.2.250", true)).toBe(200);
    expect(await send("::ffff:192.0.2.250", true)).toBe(200);
    expect([
      await send("192.0.2.250", false),
      await send("192.0.2.251", true),
      await send(null, true),
      await send("nonsense", true),
    ]).toEqual([401, 401, 401, 401]);
    expect((await world.askFrom("192.0.2.250", true, { method: "GET", path: "/v1/services" })).status).toBe(401);
    const why = await world.ledger.why({ address: "192.0.2.9", protocol: "tcp", port: 25 });
    expect(JSON.stringify(why)).toContain('"source":"de01"');
  });
});

describe("jobs for old scripts", () => {
  test("are listed with four fields and small numbers until the first result; later ones merge", async () => {
    expect(await (await world.ask("GET", "/jobs")).text()).toBe("[]");
    const [first, second] = [await addJob(), await addJob({ ports: "53", protocol: "udp" })];
    expect(second).toBe(first + 1);
    expect(await (await world.ask("GET", "/jobs")).text()).toBe(
      `[{"id":${first},"cidr":"192.0.2.0/24","ports":"1-1024","proto":"tcp"},{"id":${second},"cidr":"192.0.2.0/24","ports":"53","proto":"udp"}]`,
    );
    for (const port of [1, 2, 3, 4]) expect((await post(record("192.0.2.20", port), `/results/${first}`)).status).toBe(200);
    expect((await listed()).map(({ id }) => id)).toEqual([second]);
    expect((await world.open()).filter((one) => one.startsWith("192.0.2.20:"))).toHaveLength(4);
    expect((await post("[]", `/results/${second}`)).status).toBe(200);
    expect(await listed()).toEqual([]);
  });

  test("that nobody asked for, or that were called off or are too late, are refused in the old words", async () => {
    const detail = async (path: string): Promise<unknown> => {
      const answer = await post("[]", path);
      return [answer.status, ((await answer.json()) as { detail: string }).detail];
    };
    for (const id of ["99999", "0", "x", "-1", "1e3"]) expect(await detail(`/results/${id}`)).toEqual([400, "Job does not exist"]);
    const cancelled = await addJob();
    const gone = await world.ask("DELETE", `/v1/legacy-jobs/${cancelled}`, {
      headers: { authorization: `Bearer ${world.tokens.operator}` },
    });
    expect(gone.status).toBe(200);
    expect(await detail(`/results/${cancelled}`)).toEqual([400, "Job already submitted"]);
    expect(await addJob()).toBeGreaterThan(cancelled);
  });

  test("keep to the registered ranges and away from exclusions; the same origin is the same job", async () => {
    const ask = async (body: object): Promise<number> =>
      (
        await world.ask("POST", "/v1/legacy-jobs", {
          body: JSON.stringify({ ports: "1-1024", ...body }),
          headers: { ...JSON_TYPE, authorization: `Bearer ${world.tokens.operator}` },
        })
      ).status;
    expect(await ask({ cidr: "198.51.100.0/24" })).toBe(400);
    expect(await ask({ cidr: "nonsense" })).toBe(400);
    expect(await ask({ cidr: "192.0.2.0/24", ports: "U:53" })).toBe(400);
    const rule = { ranges: ["2001:db8::7"], ports: "25", owner: "ops", reason: "mail", expiresAtMs: null };
    await world.store.registry.addExclusion(rule);
    expect(await ask({ cidr: "2001:db8::/64" })).toBe(409);
    expect(await ask({ cidr: "2001:db8::/64", ports: "26-30" })).toBe(201);
    expect(await addJob({ origin: "legacy-db:1" })).toBe(await addJob({ origin: "legacy-db:1" }));
  });
});

describe("traceroutes", () => {
  const send = (dest: string | null, text: string | null): Promise<Response> => {
    const form = new FormData();
    if (dest !== null) form.set("dest", dest);
    if (text !== null) form.set("traceroute", new File([text], "traceroute.txt"));
    return world.ask("POST", "/traceroute", { body: form });
  };

  test("are kept, the newest for each address, and read back as they were sent", async () => {
    const text = "traceroute to 2001:db8::5\n 1  gateway  0.3 ms\n 2  * * *\n";
    const answer = await send("2001:DB8::0005", text);
    expect([answer.status, await answer.text(), answer.headers.get("location")]).toEqual([201, "", "/traceroute/2001:DB8::0005"]);
    const read = await world.ask("GET", "/traceroute/2001:db8:0:0::5");
    expect([read.status, read.headers.get("content-type"), await read.text()]).toEqual([200, expect.stringMatching(/^text\/plain/), text]);
    expect((await world.ask("GET", "/traceroute/192.0.2.99")).status).toBe(404);
    expect((await world.ask("GET", "/traceroute/nonsense")).status).toBe(400);
  });

  test("that lack a field, or are too long, are refused", async () => {
    expect((await send(null, "x")).status).toBe(400);
    expect((await send("192.0.2.1", null)).status).toBe(400);
    expect((await send("nonsense", "x")).status).toBe(400);
    expect((await send("192.0.2.1", "x".repeat(70_000))).status).toBe(413);
    expect((await world.ask("POST", "/traceroute", { body: "x", headers: JSON_TYPE })).status).toBe(400);
  });
});

describe("imports", () => {
  const send = (body: string, query: string): Promise<Response> =>
    world.ask("POST", `/v1/imports?${query}`, { body, headers: { authorization: `Bearer ${world.tokens.uploader}` } });

  test("become sightings without coverage, tell what was refused, and are one import when repeated", async () => {
    const text = "192.0.2.30:22\nnonsense\n[2001:db8::30]:443\n";
    const answer = await send(text, "format=lines&source=nmap-ops&at=1700000000");
    expect([answer.status, await answer.json()]).toMatchObject([
      200,
      { state: "done", source: "nmap-ops", records: 1, held: 1, sightings: 2, refused: 1, examples: [{ line: 2 }] },
    ]);
    expect(await world.open()).toEqual(expect.arrayContaining(["192.0.2.30:22/tcp", "2001:db8::30:443/tcp"]));
    const before = await world.ledger.frontier();
    expect((await send(text, "format=lines&source=nmap-ops&at=1700000000")).status).toBe(200);
    expect(await world.ledger.frontier()).toEqual(before);
  });

  test("that are large are answered at once, and their state can be asked", async () => {
    const lines = Array.from({ length: 100_001 }, (_, index) => `192.0.2.${index % 250}:${1_000 + Math.floor(index / 250)}`);
    const answer = await send(lines.join("\n"), "format=lines&at=1700000000");
    expect(answer.status).toBe(202);
    const location = answer.headers.get("location") ?? "";
    expect(await answer.json()).toMatchObject({ records: 6, sightings: 100_001 });
    const state = async (): Promise<unknown> =>
      (
        (await (await world.ask("GET", location, { headers: { authorization: `Bearer ${world.tokens.uploader}` } })).json()) as {
          state: string;
        }
      ).state;
    await expect.poll(state).toBe("done");
    expect((await world.ledger.counts()).open).toBeGreaterThan(100_000);
    expect((await send(lines.join("\n"), "format=lines&at=1700000000")).status).toBe(200);
  });

  test("of an unknown format, or asked for by a wrong id, are refused", async () => {
    expect((await send("", "format=pdf")).status).toBe(400);
    expect((await send("", "")).status).toBe(400);
    const headers = { authorization: `Bearer ${world.tokens.uploader}` };
    expect((await world.ask("GET", "/v1/imports/nothing", { headers })).status).toBe(404);
    expect((await send("", "format=json")).status).toBe(200);
  });
});

test("without a keeper it is 503 with Retry-After, and the same request later is taken once", async () => {
  await world.keeper.stop();
  const body = '[{"ip":"2001:db8::77","timestamp":"1700000000","ports":[{"port":77,"proto":"tcp","status":"open"}]}]';
  const late = await post(body);
  expect([late.status, late.headers.get("retry-after")]).toEqual([503, expect.stringMatching(/^\d+$/)]);
  expect(await world.ledger.host("2001:db8::77")).toEqual([]);
  world.keeping.startKeeper("k2");
  await expect.poll(async () => (await post(body)).status).toBe(200);
  expect(await world.ledger.host("2001:db8::77")).toMatchObject([{ port: 77, state: "open" }]);
  expect(world.bugs).toEqual([]);
});
