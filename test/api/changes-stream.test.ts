import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { PortolanError } from "../../src/core/errors.ts";
import type { Change, ChangeQuery } from "../../src/ledger/feed-types.ts";
import { startTestApi, type TestApi } from "./harness.ts";

let api: TestApi;
let feed: Change[];
let asked: ChangeQuery[];

function change(n: number): Change {
  const service = { address: "192.0.2.1", protocol: "tcp" as const, port: 443 };
  return { n, kind: "opened", ...service, was: null, state: "open", job: null, cause: { kind: "part", id: "ab" }, atMs: n };
}

beforeAll(async () => {
  api = await startTestApi();
  api.ledger.listChanges = async (query) => {
    asked.push(query);
    if (query.first !== "oldest") return { items: feed.slice(-1), next: null };
    const items = feed.filter(({ n }) => n > Number(query.cursor)).slice(0, query.limit);
    return { items, next: String(items.at(-1)?.n ?? query.cursor) };
  };
});

beforeEach(() => {
  feed = [change(1), change(2), change(5)];
  asked = [];
});

afterAll(async () => {
  await api.close();
});

/** Reads a stream event by event. */
function readerOf(response: Response): { next(): Promise<string | null>; cancel(): Promise<void> } {
  const reader = response.body?.pipeThrough(new TextDecoderStream()).getReader();
  let text = "";
  const next = async (): Promise<string | null> => {
    for (;;) {
      const end = text.indexOf("\n\n");
      if (end >= 0) {
        const event = text.slice(0, end);
        text = text.slice(end + 2);
        return event;
      }
      const piece = await reader?.read();
      if (piece?.value === undefined) return null;
      text += piece.value;
    }
  };
  return { next, cancel: async () => reader?.cancel() };
}

async function open(path = "/v1/changes/stream", headers: Record<string, string> = {}) {
  const response = await api.ask("GET", path, { role: "viewer", headers });
  expect([response.status, response.headers.get("content-type"), response.headers.get("cache-control")]).toEqual([
    200,
    "text/event-stream",
    "no-store",
  ]);
  return readerOf(response);
}

const told = (n: number): string => `id: ${n}\nevent: change\ndata: ${JSON.stringify(change(n))}`;

describe("the stream of changes", () => {
  test("tells the state of the register first, then what comes", async () => {
    const stream = await open();
    const state = { region: "eu", newest: 5, counts: { open: 1, missing: 0, closed: 0 } };
    expect(await stream.next()).toBe(`id: 5\nevent: state\ndata: ${JSON.stringify(state)}`);
    feed.push(change(6), change(9));
    expect([await stream.next(), await stream.next()]).toEqual([told(6), told(9)]);
    feed.push(change(10));
    expect(await stream.next()).toBe(told(10));
    await stream.cancel();
  });

  test("goes on after Last-Event-ID, or after a number in the query, and leaves nothing out", async () => {
    const again = await open("/v1/changes/stream?after=5", { "last-event-id": "1" });
    expect([await again.next(), await again.next(), await again.next()]).toEqual([
      expect.stringMatching(/^id: 1\nevent: state/),
      told(2),
      told(5),
    ]);
    await again.cancel();
    const from = await open("/v1/changes/stream?after=2");
    expect([await from.next(), await from.next()]).toEqual([expect.stringMatching(/^id: 2\n/), told(5)]);
    await from.cancel();
  });

  test("hands its filter to the ledger", async () => {
    const stream = await open("/v1/changes/stream?kind=opened,closed&q=port:443", { "last-event-id": "2" });
    expect([await stream.next(), await stream.next()]).toEqual([expect.stringContaining("state"), told(5)]);
    await stream.cancel();
    expect(asked.at(-1)).toMatchObject({ kinds: ["opened", "closed"], matching: { filter: { terms: [{ key: "port" }] } }, limit: 500 });
  });

  test("refuses a number that this region never gave, and what is no number", async () => {
    const ask = async (id: string): Promise<unknown> => {
      const response = await api.ask("GET", "/v1/changes/stream", { headers: { "last-event-id": id } });
      return [response.status, ((await response.json()) as { detail: string }).detail];
    };
    expect(await ask("6")).toEqual([400, expect.stringContaining("region eu, 5")]);
    expect(await ask("x")).toEqual([400, expect.stringContaining("last-event-id")]);
  });

  test("says something each 15 s, outlives a ledger that is away, and ends after 5 min", async () => {
    const stream = await open();
    await stream.next();
    api.store.clock.nowMs += 15_000;
    expect(await stream.next()).toBe(": still here");
    const { listChanges } = api.ledger;
    api.ledger.listChanges = () => {
      api.ledger.listChanges = listChanges;
      feed.push(change(7));
      return Promise.reject(new PortolanError("unavailable", "away"));
    };
    expect(await stream.next()).toBe(told(7));
    api.store.clock.nowMs += 300_000;
    expect(await stream.next()).toBeNull();
  });

  test("ends when its token is revoked", async () => {
    const { text, info } = await api.store.registry.tokens.issue({ name: "short", role: "viewer", expiresAtMs: null });
    const stream = await open("/v1/changes/stream", { authorization: `Bearer ${text}` });
    await stream.next();
    await api.store.registry.tokens.revoke(info.id);
    api.store.clock.nowMs += 15_000;
    expect(await stream.next()).toBeNull();
  });

  test("takes 100 readers at a time, and another one when one of them has gone", async () => {
    const streams = await Promise.all(Array.from({ length: 100 }, () => open()));
    const refused = await api.ask("GET", "/v1/changes/stream");
    expect([refused.status, await refused.json()]).toMatchObject([429, { code: "rate-limited" }]);
    await streams.pop()?.cancel();
    streams.push(await open());
    for (const stream of streams) await stream.cancel();
    expect((await api.ask("HEAD", "/v1/changes/stream")).status).toBe(200);
  });
});
