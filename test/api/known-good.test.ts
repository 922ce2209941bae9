import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { formatFilter } from "../../src/core/filter/filter.ts";
import { startTestApi, type TestApi } from "./harness.ts";

let api: TestApi;
let ledger: TestApi["ledger"];

beforeAll(async () => {
  api = await startTestApi();
  ledger = { ...api.ledger };
  await api.ask("POST", "/v1/plans", { body: { name: "office", ranges: ["192.0.2.0/24"], ports: "1-1024", every: "6h" } });
});

beforeEach(() => {
  Object.assign(api.ledger, ledger);
});

afterAll(async () => {
  await api?.close();
});

const RULE = { ranges: ["192.0.2.10"], ports: "443,80", owner: "web", reason: "public" };

async function jsonOf(response: Promise<Response>): Promise<[number, unknown]> {
  const answer = await response;
  return [answer.status, await answer.json()];
}

describe("known-good rules", () => {
  test("are made once, listed, and deleted once", async () => {
    const [created, rule] = (await jsonOf(api.ask("POST", "/v1/known-good", { role: "operator", body: RULE }))) as [number, { id: string }];
    expect([created, rule]).toEqual([
      201,
      expect.objectContaining({ ranges: ["192.0.2.10"], ports: "80,443", owner: "web", expiresAtMs: null, expired: false }),
    ]);
    expect(await jsonOf(api.ask("POST", "/v1/known-good", { body: RULE }))).toEqual([200, rule]);
    expect(await jsonOf(api.ask("GET", "/v1/known-good", { role: "viewer" }))).toMatchObject([200, { items: [rule], next_cursor: null }]);
    expect(await jsonOf(api.ask("DELETE", `/v1/known-good/${rule.id}`))).toEqual([200, { deleted: rule.id }]);
    expect(await jsonOf(api.ask("DELETE", `/v1/known-good/${rule.id}`))).toMatchObject([404, { code: "not-found" }]);
  });

  test("that end are shown as expired after their end and are gone from the keeper's view", async () => {
    const { clock, registry } = api.store;
    const expiresAt = new Date(clock.nowMs + 60_000).toISOString();
    const [status] = await jsonOf(api.ask("POST", "/v1/known-good", { body: { ...RULE, expiresAt } }));
    expect([status, (await registry.snapshot()).knownGood.length]).toEqual([201, 1]);
    clock.nowMs += 60_000;
    expect(await jsonOf(api.ask("GET", "/v1/known-good"))).toMatchObject([200, { items: [{ expired: true }] }]);
    expect((await registry.snapshot()).knownGood).toEqual([]);
  });

  test.each([
    ["without an owner", { ...RULE, owner: " " }, "say who answers for it"],
    ["without a reason", { ...RULE, reason: "" }, "say why it is expected"],
    ["without ranges", { ...RULE, ranges: [] }, "ranges"],
    ["with a wrong range", { ...RULE, ranges: ["192.0.2.1/24"] }, "192.0.2.0/24"],
    ["with a wrong port", { ...RULE, ports: "70000" }, "70000"],
    ["with an end in the past", { ...RULE, expiresAt: "2001-01-01T00:00:00Z" }, "already have expired"],
    ["with an end that is no time", { ...RULE, expiresAt: "soon" }, "2027-01-31T12:00:00Z"],
    ["with an unknown field", { ...RULE, port: 80 }, "port"],
  ])("%s are refused in words that name it", async (_, body, words) => {
    const [status, problem] = await jsonOf(api.ask("POST", "/v1/known-good", { body }));
    expect([status, JSON.stringify(problem)]).toEqual([400, expect.stringContaining(words)]);
  });
});

describe("lists of services", () => {
  test("hide known-good services and say how many; shown or alone, nothing is hidden", async () => {
    const asked: string[] = [];
    api.ledger.search = async () => ({ items: [], next: null });
    api.ledger.searchCounts = async ({ filter }) => {
      asked.push(formatFilter(filter));
      return { total: { count: 0, exact: true }, hiddenKnownGood: { count: 3, exact: asked.length > 1 } };
    };
    const hidden = async (query: string): Promise<unknown> => {
      const [, page] = await jsonOf(api.ask("GET", `/v1/services?${query}`));
      return page;
    };
    expect(await hidden("port=443&cidr=192.0.2.0/24")).toMatchObject({ hiddenKnownGood: 3, hiddenKnownGoodExact: false });
    expect(await hidden("q=known:show+22")).toMatchObject({ hiddenKnownGood: 3, hiddenKnownGoodExact: true });
    expect(asked).toEqual(["net:192.0.2.0/24 port:443 state:open,missing known:hide", "port:22 state:open,missing known:show"]);
    expect((await api.ask("GET", "/v1/services?known=hide&q=known:show")).status).toBe(400);
    expect((await api.ask("GET", "/v1/services?known=maybe")).status).toBe(400);
  });
});

describe("a change of a plan", () => {
  const patch = (body: unknown) => jsonOf(api.ask("PATCH", "/v1/plans/office", { role: "operator", body }));

  test("keeps what is not named, counts up the revision once, and takes null for the default", async () => {
    expect(await jsonOf(api.ask("GET", "/v1/plans/office"))).toMatchObject([
      200,
      { revision: 0, closeAfter: 2, confirm: true, intervalS: 21_600 },
    ]);
    const changes = { closeAfter: 3, confirm: false, every: null, canaries: [{ address: "192.0.2.1", port: 443 }] };
    const wanted = { revision: 1, closeAfter: 3, confirm: false, intervalS: null, ports: "1-1024", canaries: changes.canaries };
    expect(await patch(changes)).toMatchObject([200, wanted]);
    expect(await patch(changes)).toMatchObject([200, wanted]);
    expect(await patch({})).toMatchObject([200, wanted]);
    expect(await patch({ enabled: false, every: "12h", deadline: "2d" })).toMatchObject([
      200,
      { revision: 2, enabled: false, intervalS: 43_200, deadlineS: 172_800, confirm: false },
    ]);
    expect(await patch({ enabled: true, deadline: null, canaries: [] })).toMatchObject([
      200,
      { revision: 3, enabled: true, deadlineS: 86_400, canaries: [] },
    ]);
  });

  test.each([
    ["an unknown field", { name: "other" }, 400, "name"],
    ["closeAfter 0", { closeAfter: 0 }, 400, "closeAfter"],
    ["a wrong interval", { every: "6 hours" }, 400, "write it like"],
    ["a wrong port", { ports: "99999" }, 400, "99999"],
    ["an unknown group", { group: "nobody" }, 404, "nobody"],
  ])("with %s is refused in words that name it", async (_, body, status, words) => {
    const before = await jsonOf(api.ask("GET", "/v1/plans/office"));
    const [got, problem] = await patch(body);
    expect([got, JSON.stringify(problem)]).toEqual([status, expect.stringContaining(words)]);
    expect(await jsonOf(api.ask("GET", "/v1/plans/office"))).toEqual(before);
  });

  test("of a plan that is not there is a 404", async () => {
    expect((await api.ask("PATCH", "/v1/plans/nosuch", { body: { closeAfter: 3 } })).status).toBe(404);
  });
});
