import { requestIdOf } from "./guards.ts";

/** Below this compressing saves no packet. */
const GZIP_BYTES_MIN = 1_400;
const ACCEPTS_GZIP = /(^|,)\s*gzip\s*(;\s*q=(1|0?\.\d*[1-9]\d*)\s*)?(,|$)/i;
const STORABLE_TYPE = /^(application\/json|text\/html)\b/;

/** An answer as it is kept. */
export type Entry = {
  readonly body: Uint8Array<ArrayBuffer>;
  /** The same, gzip; null for what is small, or was not asked for twice. */
  readonly gzip: Uint8Array<ArrayBuffer> | null;
  readonly headers: Readonly<Record<string, string>>;
  readonly etag: string;
  readonly bornMs: number;
  /** What stood in the stores at the latest when this was read; null: nobody asked. */
  readonly revision: string | null;
  checkedMs: number;
  isRenewed: boolean;
};

/** Null when the answer may not be kept: a refusal, a stream, something personal, something huge. Then its body is still unread. */
export async function entryOf(
  response: Response,
  read: { readonly nowMs: number; readonly revision: string | null; readonly isPopular: boolean },
  added: Readonly<Record<string, string>>,
): Promise<Entry | null> {
  const type = response.headers.get("content-type") ?? "";
  if (response.status !== 200 || response.headers.has("set-cookie") || !STORABLE_TYPE.test(type)) return null;
  const body = new Uint8Array(await response.arrayBuffer());
  const etag = response.headers.get("etag") ?? (await etagOf(body));
  const headers: Record<string, string> = {};
  for (const [name, value] of response.headers) if (name !== "x-request-id" && name !== "content-length") headers[name] = value;
  Object.assign(headers, added, { etag, "cache-status": "portolan; hit" });
  // The browser may keep it for this person, and asks each time: so that its own poll costs a 304.
  headers["cache-control"] = "private, no-cache";
  headers["vary"] = "Authorization, Cookie, Accept, Accept-Encoding";
  // Sent often, it costs more to send than to compress this once.
  const gzip = read.isPopular && body.byteLength >= GZIP_BYTES_MIN ? await gzipOf(body) : null;
  return { body, gzip, headers, etag, bornMs: read.nowMs, checkedMs: read.nowMs, revision: read.revision, isRenewed: false };
}

async function etagOf(body: Uint8Array<ArrayBuffer>): Promise<string> {
  const digest = new Uint8Array(await crypto.subtle.digest("SHA-256", body));
  return `W/"${btoa(String.fromCharCode(...digest.subarray(0, 18)))}"`;
}

async function gzipOf(body: Uint8Array<ArrayBuffer>): Promise<Uint8Array<ArrayBuffer>> {
  const stream = new Blob([body]).stream().pipeThrough(new CompressionStream("gzip"));
  return new Uint8Array(await new Response(stream).arrayBuffer());
}

/** Bytes that it takes. */
export function sizeOf({ body, gzip }: Entry): number {
  return body.byteLength + (gzip?.byteLength ?? 0);
}

/** Answers a request from an entry: 304 when the caller has it already. */
export function respond(request: Request, entry: Entry, how: "hit" | "miss" | "request"): Response {
  const given = request.headers;
  // A plain object, made in one go: this is all that a popular list costs.
  const headers: Record<string, string> = { ...entry.headers, "x-request-id": requestIdOf(given.get("x-request-id")) };
  if (how !== "hit") headers["cache-status"] = `portolan; fwd=${how}`;
  const seen = given.get("if-none-match");
  if (seen === null || !matches(seen, entry.etag)) {
    if (entry.gzip === null || !ACCEPTS_GZIP.test(given.get("accept-encoding") ?? ""))
      return new Response(entry.body, { status: 200, headers });
    headers["content-encoding"] = "gzip";
    // Only workerd knows this word; it would compress once more without it.
    return new Response(entry.gzip, { status: 200, headers, encodeBody: "manual" } as ResponseInit);
  }
  const { "content-type": _type, ...kept } = headers;
  return new Response(null, { status: 304, headers: kept });
}

/** Weak comparison, as RFC 9110 wants it for If-None-Match. */
function matches(seen: string, etag: string): boolean {
  const bare = (text: string): string => text.trim().replace(/^W\//, "");
  return seen.trim() === "*" || seen.split(",").some((one) => bare(one) === bare(etag));
}
