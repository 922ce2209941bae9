import fc from "fast-check";
import { Hono } from "hono";
import { expect, test } from "vitest";
import { closePage, openPage } from "../../src/api/page.ts";
import { PortolanError } from "../../src/core/errors.ts";

const PATH = "/v1/services";

let asked: { readonly query: Readonly<Record<string, string>>; readonly place: string } = { query: {}, place: "" };
const app = new Hono();
app.get(PATH, (c) => c.json(closePage(c, openPage(PATH, asked.query), { items: [], next: asked.place })));

/** The cursor that a page of this filter gives for a place. */
async function cursorOf(query: Readonly<Record<string, string>>, place: string): Promise<string> {
  asked = { query, place };
  const { next_cursor: cursor } = (await (await app.request(PATH)).json()) as { next_cursor: string };
  return cursor;
}

/** Where a cursor leads, or the words of its refusal; anything else that is thrown is a bug. */
function opened(query: Readonly<Record<string, string>>, cursor: string): { place: string | undefined } | { refused: string } {
  try {
    return { place: openPage(PATH, { ...query, cursor }).after };
  } catch (error) {
    if (error instanceof PortolanError && error.code === "invalid") return { refused: error.message };
    throw error;
  }
}

const query = fc.record({ q: fc.string({ maxLength: 20 }), sort: fc.constantFrom("address", "-address", "port") });

test("a cursor leads back to its place, whatever stands in it, and under no other filter or order", async () => {
  await fc.assert(
    fc.asyncProperty(query, query, fc.string({ unit: "binary", maxLength: 60 }), async (own, other, text) => {
      const place = text.toWellFormed();
      const cursor = await cursorOf(own, place);
      expect(cursor).toMatch(/^[\w-]*$/);
      expect(opened(own, cursor)).toEqual({ place });
      if (own.q !== other.q || own.sort !== other.sort)
        expect(opened(other, cursor)).toEqual({ refused: expect.stringContaining("another filter") });
    }),
    { numRuns: 500 },
  );
});

test("50,000 cursors that no page gave, damaged ones among them, are refused in clear words and never break anything", async () => {
  const own = { q: "port:22", sort: "address" };
  const good = await cursorOf(own, `${"0".repeat(31)}1.22.6`);
  const damaged = fc
    .tuple(fc.nat(good.length - 1), fc.string({ minLength: 0, maxLength: 3, unit: "binary" }), fc.nat(3))
    .map(([at, put, cut]) => good.slice(0, at) + put + good.slice(at + cut));
  const any = fc.oneof(
    fc.string({ unit: "binary", maxLength: 80 }),
    fc.base64String({ maxLength: 80 }),
    fc.stringMatching(/^[\w-]{0,80}$/),
    damaged,
  );
  let refused = 0;
  fc.assert(
    fc.property(any, (cursor) => {
      const found = opened(own, cursor);
      if ("refused" in found) {
        refused += 1;
        expect(found.refused).toContain("begin again without a cursor");
        // Only a place within our own filter may pass: then it is the ledger that judges it.
      } else expect(typeof found.place).toBe("string");
    }),
    { numRuns: 50_000 },
  );
  expect(refused).toBeGreaterThan(40_000);
});
