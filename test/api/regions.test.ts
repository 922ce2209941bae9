import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { publicKey } from "../registry/harness.ts";
import { type TestApi, startTestApi } from "./harness.ts";

let api: TestApi;

beforeAll(async () => {
  api = await startTestApi();
});
afterAll(async () => {
  await api?.close();
});

const US = { name: "us", natsUrl: "tls://nats.us.example:4222", apiUrl: "https://us.example/", latitude: 39, longitude: -77.5 };

describe("regions", () => {
  test("are added once, changed, shown to viewers, and kept from others than admins", async () => {
    const added = await api.ask("POST", "/v1/regions", { body: { ...US, keeperPublicKeys: [publicKey(20)] } });
    expect(added.status).toBe(201);
    expect(await added.json()).toMatchObject({ apiUrl: "https://us.example", state: "active", scanners: 0, answering: false, home: false });
    expect((await api.ask("POST", "/v1/regions", { body: { ...US, keeperPublicKeys: [publicKey(20)] } })).status).toBe(200);
    expect((await api.ask("POST", "/v1/regions", { body: { name: "us", apiUrl: "https://other.example" } })).status).toBe(409);
    const changed = await api.ask("PATCH", "/v1/regions/us", { body: { keeperPublicKeys: [publicKey(20), publicKey(21)] } });
    expect(await changed.json()).toMatchObject({ natsUrl: US.natsUrl, keeperPublicKeys: [publicKey(20), publicKey(21)] });
    const list = await api.ask("GET", "/v1/regions", { role: "viewer" });
    expect(await list.json()).toMatchObject({ items: [{ name: "eu", answering: true, scanners: 1, live: null }, { name: "us" }] });
    for (const role of ["viewer", "operator"] as const) {
      for (const [method, path] of [
        ["POST", "/v1/regions"],
        ["PATCH", "/v1/regions/us"],
        ["DELETE", "/v1/regions/us"],
      ] as const)
        expect((await api.ask(method, path, { role, body: {} })).status).toBe(403);
    }
  });

  test("show how the answering one sees them: contact, lag, alarm, logs", async () => {
    api.ledger.peers = async () => [{ region: "us", checkpoint: 7, contactMs: 0, behind: 3, equalAtMs: 5, alarm: "differs; rebuild it" }];
    const log = { log: "ab".repeat(16), region: "us", own: false, prefix: 8, highest: 9, chain: "cd".repeat(32) };
    api.ledger.logStands = async () => [log, { ...log, log: "ee".repeat(16), region: "eu", own: true }];
    const shown = await (await api.ask("GET", "/v1/regions/us", { role: "viewer" })).json();
    const { region: _region, own: _own, ...rest } = log;
    expect(shown).toMatchObject({ live: { contactMs: null, behind: 3, equalAtMs: 5, alarm: "differs; rebuild it" }, logs: [rest] });
    expect((await api.ask("GET", "/v1/regions/mars", { role: "viewer" })).status).toBe(404);
  });

  test("are retired, not deleted: a second time changes nothing, scanners and only homes ask for force", async () => {
    await api.ask("POST", "/v1/scanners", { body: { name: "us01", region: "us", addresses: ["198.51.100.9"], publicKey: publicKey(9) } });
    const refused = await api.ask("DELETE", "/v1/regions/us");
    expect(refused.status).toBe(409);
    expect(await refused.json()).toMatchObject({ detail: expect.stringMatching(/"us01".*--force/) });
    for (let round = 0; round < 2; round++) {
      const retired = await api.ask("DELETE", "/v1/regions/us?force=true");
      expect(await retired.json()).toMatchObject({ state: "retired", scanners: 0, keeperPublicKeys: [publicKey(20), publicKey(21)] });
    }
    expect((await (await api.ask("GET", "/v1/scanners")).json()).items).toContainEqual(
      expect.objectContaining({ name: "us01", enabled: false }),
    );
    const back = await api.ask("POST", "/v1/regions", { body: { name: "us" } });
    expect(back.status).toBe(201);
    expect(await back.json()).toMatchObject({ state: "active", keeperPublicKeys: [publicKey(20), publicKey(21)] });
  });

  test("refuse what is no address, no key or no place, and say what is wanted", async () => {
    const bad = [
      { natsUrl: "https://nats.example" },
      { natsUrl: "tls://user:secret@nats.example" },
      { apiUrl: "ftp://us.example" },
      { apiUrl: "https://us.example/?a=b" },
      { keeperPublicKeys: ["UABC"] },
      { latitude: 91, longitude: 0 },
      { latitude: 1, longitude: null },
    ];
    for (const body of bad) {
      const answer = await api.ask("PATCH", "/v1/regions/us", { body });
      expect([answer.status, body]).toEqual([400, body]);
      expect((await answer.json()).detail).toMatch(/us/);
    }
    expect(api.bugs).toEqual([]);
  });
});
