import type { Bus } from "../../../src/bus/bus.ts";
import { recordMessageId, resultSubject } from "../../../src/bus/names.ts";
import { encodeRecord } from "../../../src/core/record-wire.ts";
import { ACCEPT_ITEMS_MAX, type Ledger, type PeerItem } from "../../../src/ledger/types.ts";
import { errorText, type Log } from "../../log.ts";
import type { Doorbell } from "../doorbell.ts";
import { backoffMs, type ReplicateSettings } from "./settings.ts";

/** How often the place is written down while there is much to publish; a restart repeats what came after it, which harms nobody. */
const SAVE_EVERY_MS = 1_000;
/** Pause between two looks when nobody rings. */
const IDLE_MS = 1_000;
/** After the stream was lost: as many records are sent again as a peer may not have read yet; what else it lacks it asks for. */
const REPEATED_RECORDS = 256;
/** The place is written down now and then only, so peers may have read beyond it. */
const RAISE_MARGIN = 10_000;

type PublishDeps = {
  readonly region: string;
  readonly bus: Pick<Bus, "ensureLogStream" | "logStreamState" | "publishRecord" | "raiseLogStream">;
  readonly ledger: Pick<Ledger, "readLog" | "publishedUpto" | "setPublished">;
  /** Our own log; null while it is being found out. */
  readonly log: () => string | null;
  /** Highest number that was committed; null when that is not known. */
  readonly newest: () => number | null;
  readonly epoch: () => number;
  /** Nobody reads what a region alone publishes. */
  readonly isWanted: () => boolean;
  readonly bell: Doorbell;
  readonly monotonicMs: () => number;
  readonly say: Log;
  readonly settings: ReplicateSettings;
  readonly onError: (error: unknown) => void;
  /** What does not work, for the keeper's status; null when all is well. */
  readonly onProblem: (problem: string | null) => void;
};

type Place = { readonly log: string; rseq: number; seq: number };

/** Hands the own log to the region's stream, in order, as soon as the bell rings, until `signal` aborts. Never rejects. */
export async function runPublisher(deps: PublishDeps, signal: AbortSignal): Promise<void> {
  const publisher = createPublisher(deps);
  let failures = 0;
  while (!signal.aborted) {
    let pauseMs = IDLE_MS;
    try {
      if (deps.isWanted()) await publisher.round(signal);
      if (failures > 0) deps.say.info("records are published again");
      failures = 0;
      deps.onProblem(null);
    } catch (error) {
      deps.onError(error);
      if (failures === 0) deps.say.warning(`records cannot be published, peers have to ask for them: ${errorText(error)}`);
      deps.onProblem(errorText(error));
      publisher.forget();
      pauseMs = backoffMs(deps.settings, failures);
      failures += 1;
    }
    await deps.bell.wait(pauseMs, signal);
  }
  await publisher.save().catch(() => undefined);
}

function createPublisher(deps: PublishDeps) {
  const book = createPlaceBook(deps);
  let lookedAtMs = -Infinity;
  const raise = async (at: Place, lastSeq: number): Promise<void> => {
    deps.say.warning(
      `the stream of this region's log went back from message ${at.seq} to ${lastSeq}; it goes on behind, peers ask for the rest`,
    );
    await deps.bus.raiseLogStream(deps.region, at.seq + 1 + RAISE_MARGIN);
    at.seq += RAISE_MARGIN;
    at.rseq = Math.max(-1, at.rseq - REPEATED_RECORDS);
  };
  /** The stream must not stand before what it had confirmed: peers would wait for numbers that they have seen already. */
  const look = async (at: Place): Promise<void> => {
    if (deps.monotonicMs() - lookedAtMs < deps.settings.askEveryMs) return;
    await deps.bus.ensureLogStream(deps.region);
    const { lastSeq } = await deps.bus.logStreamState(deps.region);
    if (lastSeq < at.seq) await raise(at, lastSeq);
    lookedAtMs = deps.monotonicMs();
  };
  return {
    save: book.save,
    forget: () => {
      book.forget();
      lookedAtMs = -Infinity;
    },
    round: async (signal: AbortSignal): Promise<void> => {
      const log = deps.log();
      if (log === null) return;
      const at = await book.place(log);
      await look(at);
      while (!signal.aborted && deps.log() === log) {
        const items = await deps.ledger.readLog({ log, from: at.rseq + 1, limit: ACCEPT_ITEMS_MAX });
        const last = items.at(-1);
        if (last === undefined) break;
        const stored = await Promise.all(items.map((item) => publishOne(deps, item)));
        const before = at.seq;
        const old = stored.find(({ seq, duplicate }) => !duplicate && seq <= before);
        // A new message with an old number: the stream was lost under us.
        if (old !== undefined) {
          await raise(at, old.seq);
          continue;
        }
        at.rseq = last.acceptance.rseq;
        at.seq = Math.max(before, ...stored.map(({ seq }) => seq));
        book.saveBeside();
        // Asking the ledger again would only cost time.
        if (at.rseq >= (deps.newest() ?? Infinity)) break;
      }
      book.saveBeside();
    },
  };
}

/** How far the log was published, in memory and, somewhat later, in the ledger. */
function createPlaceBook(deps: PublishDeps) {
  let place: Place | null = null;
  let saved = -1;
  let savedAtMs = -Infinity;
  let saving: Promise<void> | null = null;
  const save = async (): Promise<void> => {
    if (place === null || saved === place.rseq) return;
    const at = { ...place };
    savedAtMs = deps.monotonicMs();
    await deps.ledger.setPublished(at, { epoch: deps.epoch() });
    saved = at.rseq;
  };
  return {
    save: async (): Promise<void> => {
      await saving;
      await save();
    },
    forget: (): void => void (place = null),
    place: async (log: string): Promise<Place> => {
      if (place?.log === log) return place;
      const at = await deps.ledger.publishedUpto();
      saved = at?.log === log ? at.rseq : -1;
      place = { log, rseq: saved, seq: at?.seq ?? 0 };
      return place;
    },
    /** Beside the publishing, which need not wait for it; what fails is tried again the next time. */
    saveBeside: (): void => {
      if (saving !== null || deps.monotonicMs() - savedAtMs < SAVE_EVERY_MS) return;
      saving = save()
        .catch(deps.onError)
        .finally(() => (saving = null));
    },
  };
}

async function publishOne({ bus, region }: PublishDeps, item: PeerItem): Promise<{ seq: number; duplicate: boolean }> {
  const { log, rseq } = item.acceptance;
  return bus.publishRecord(region, { subject: resultSubject(region, log), data: encodeRecord(item), id: recordMessageId(log, rseq) });
}
