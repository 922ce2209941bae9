import type { LedgerReader } from "../ledger/types.ts";
import type { Change, ChangeQuery } from "../ledger/feed-types.ts";
import { PortolanError } from "../core/errors.ts";

const PAUSE_MS = 1_000;
const COMMENT_EVERY_MS = 15_000;
/** Then the reader comes again with `Last-Event-ID`: connections do not pile up, and a token that ended does not read on. */
const STREAM_MS = 5 * 60_000;
const CHANGES_AT_ONCE = 500;
/** Of one process; each asks the ledger once a second. */
const STREAMS_MAX = 100;

/** When each stream ends at the latest: a place comes free even when a runtime never tells that its reader went. */
const places = new Map<symbol, number>();

export type StreamOptions = {
  readonly ledger: Pick<LedgerReader, "listChanges" | "counts">;
  /** Milliseconds of the Unix epoch. */
  readonly clock: () => number;
  readonly region: string;
  /** Change after which to begin; null: with what comes from now on. */
  readonly after: number | null;
  readonly filter: Omit<ChangeQuery, "limit" | "cursor" | "first">;
  /** Asked with each comment: whether the caller may still read. */
  readonly isAllowed: () => Promise<boolean>;
};

/**
 * The feed as server-sent events. First the state of the register (`event: state`), then each change (`event: change`, `id:` its number),
 * and a comment when nothing was said for 15 s. Throws `invalid` when `after` is newer than this feed, `rate-limited` when too many follow.
 */
export async function changesStream(options: StreamOptions): Promise<ReadableStream<Uint8Array<ArrayBuffer>>> {
  const { ledger, clock, region, after } = options;
  // In this order: what comes in between is told as a change too, never left out.
  const last = (await ledger.listChanges({ limit: 1 })).items[0]?.n ?? 0;
  const counts = await ledger.counts();
  if (after !== null && after > last) {
    throw new PortolanError(
      "invalid",
      `change ${after} is newer than the newest one of region ${region}, ${last}; numbers are each region's own: name it in the header x-portolan-region, or begin without Last-Event-ID`,
    );
  }
  const place = takePlace(clock());
  let first: string | null = event({ name: "state", id: after ?? last, data: { region, newest: last, counts } });
  let isOver = false;
  const feed = followFrom(options, after ?? last, () => isOver);
  let timer: ReturnType<typeof setTimeout> | undefined;
  const end = (): void => {
    isOver = true;
    clearTimeout(timer);
    places.delete(place);
  };
  const utf8 = new TextEncoder();
  return new ReadableStream<Uint8Array<ArrayBuffer>>(
    {
      async pull(controller) {
        // Also for a reader that takes nothing: by the machine's own clock.
        timer ??= setTimeout(() => {
          end();
          controller.close();
        }, STREAM_MS + PAUSE_MS);
        const text = first ?? (await feed());
        first = null;
        if (isOver) return;
        if (text !== null) return controller.enqueue(utf8.encode(text));
        end();
        controller.close();
      },
      cancel: end,
    },
    // Nothing is read before it is wanted: a slow reader makes nothing pile up.
    { highWaterMark: 0 },
  );
}

/** The next piece of the stream each time it is called; null at its end. */
function followFrom(
  { ledger, clock, filter, isAllowed }: StreamOptions,
  after: number,
  isOver: () => boolean,
): () => Promise<string | null> {
  const startMs = clock();
  let cursor = String(after);
  let saidMs = startMs;
  return async () => {
    while (!isOver() && clock() - startMs < STREAM_MS) {
      if (clock() - saidMs >= COMMENT_EVERY_MS) {
        saidMs = clock();
        return (await isAllowed()) ? ": still here\n\n" : null;
      }
      const page = await ledger.listChanges({ ...filter, first: "oldest", cursor, limit: CHANGES_AT_ONCE }).catch(unlessAway);
      const isBehind = page !== null && page.next !== null && page.next !== cursor;
      cursor = page?.next ?? cursor;
      if (page !== null && page.items.length > 0) {
        saidMs = clock();
        return page.items.map((change: Change) => event({ name: "change", id: change.n, data: change })).join("");
      }
      if (!isBehind) await new Promise((resolve) => setTimeout(resolve, PAUSE_MS));
    }
    return null;
  };
}

/** A ledger that does not answer now is asked again; the comments go on. */
function unlessAway(error: unknown): null {
  if (error instanceof PortolanError && error.code === "unavailable") return null;
  throw error;
}

function takePlace(nowMs: number): symbol {
  for (const [place, endsAtMs] of places) if (endsAtMs <= nowMs) places.delete(place);
  if (places.size >= STREAMS_MAX) {
    throw new PortolanError(
      "rate-limited",
      `${STREAMS_MAX} readers follow the changes of this process already; ask GET /v1/changes now and then`,
    );
  }
  const place = Symbol("reader");
  places.set(place, nowMs + STREAM_MS);
  return place;
}

/** JSON holds no line breaks, so one line of data is enough. */
function event({ name, id, data }: { readonly name: string; readonly id: number; readonly data: object }): string {
  return `id: ${id}\nevent: ${name}\ndata: ${JSON.stringify(data)}\n\n`;
}
