import { describe, expect, test } from "vitest";
import type { Asker } from "./suite-types.ts";

/** Server-sent events: they have to come piece by piece, not when the answer is whole. */
export function streamSuite(subject: () => Asker): void {
  describe("the stream of changes", () => {
    test("comes at once: the state of the register, then what happened since the event that the reader knows", async () => {
      const { ask } = subject();
      const feed = (await (await ask("/v1/changes?order=oldest")).json()) as { items: { n: number; kind: string }[] };
      const [known, ...rest] = feed.items;
      expect(rest.length).toBeGreaterThan(0);
      const response = await ask("/v1/changes/stream", { role: "viewer", headers: { "last-event-id": String(known?.n) } });
      const told = [response.status, response.headers.get("content-type"), response.headers.get("x-portolan-region")];
      expect(told).toEqual([200, "text/event-stream", "eu"]);
      const events = await eventsOf(response, rest.length + 1);
      expect(events[0]).toMatch(new RegExp(`^id: ${known?.n}\nevent: state\ndata: \\{"region":"eu"`));
      const news = events.slice(1).map((event) => /^id: (\d+)\nevent: change\ndata: (.*)$/.exec(event) ?? []);
      expect(news.map(([, id, data = "null"]) => [Number(id), JSON.parse(data)])).toEqual(rest.map((change) => [change.n, change]));
    });
  });
}

/** The first events of a stream that does not end; then it is left. */
async function eventsOf(response: Response, count: number): Promise<string[]> {
  const reader = response.body?.getReader();
  const utf8 = new TextDecoder();
  let text = "";
  while (text.split("\n\n").length <= count) {
    const piece = await reader?.read();
    if (piece?.value === undefined) throw new Error(`the stream ended after: ${text}`);
    text += utf8.decode(piece.value, { stream: true });
  }
  await reader?.cancel();
  return text.split("\n\n").slice(0, count);
}
