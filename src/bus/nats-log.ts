import {
  DiscardPolicy,
  JetStreamApiError,
  RetentionPolicy,
  StorageType,
  type JetStreamClient,
  type JetStreamManager,
  type StreamInfo,
} from "@nats-io/jetstream";
import { nanos } from "nats";
import { type Bus, LOG_AGE_MAX_MS, LOG_BYTES_MAX, LOG_DUPLICATE_WINDOW_MS } from "./bus.ts";
import { CALL_TIMEOUT_MS, guard } from "./nats-link.ts";
import { allResults, resultsStream } from "./names.ts";
import type { LogStreamState } from "./peer.ts";

/** The server's answer to a stream that exists with other settings. */
export const STREAM_NAME_IN_USE = 10_058;

type LogCalls = Pick<Bus, "ensureLogStream" | "logStreamState" | "publishRecord" | "raiseLogStream">;

/** The calls of a region's own keeper on its log stream. */
export function logStream(js: JetStreamClient, manager: JetStreamManager, online: () => void): LogCalls {
  return {
    ensureLogStream: async (region, { maxBytes = LOG_BYTES_MAX, maxAgeMs = LOG_AGE_MAX_MS } = {}) => {
      online();
      const settings = {
        subjects: [allResults(region)],
        discard: DiscardPolicy.Old,
        max_bytes: maxBytes,
        max_age: nanos(maxAgeMs),
        // The server refuses a window that is longer than messages live.
        duplicate_window: nanos(Math.min(LOG_DUPLICATE_WINDOW_MS, maxAgeMs)),
      };
      const name = resultsStream(region);
      await guard(`setting up ${name}`, async () => {
        try {
          await manager.streams.add({ name, retention: RetentionPolicy.Limits, storage: StorageType.File, ...settings });
        } catch (error) {
          if (!(error instanceof JetStreamApiError) || error.code !== STREAM_NAME_IN_USE) throw error;
          await manager.streams.update(name, settings);
        }
      });
    },
    logStreamState: async (region) => {
      online();
      return guard(`looking at ${resultsStream(region)}`, async () => stateOf(await manager.streams.info(resultsStream(region))));
    },
    publishRecord: async (region, { subject, data, id }) => {
      online();
      const settings = { msgID: id, timeout: CALL_TIMEOUT_MS, expect: { streamName: resultsStream(region) } };
      return guard(`publishing ${id}`, async () => {
        const { seq, duplicate } = await js.publish(subject, data, settings);
        return { seq, duplicate };
      });
    },
    raiseLogStream: async (region, seq) => {
      online();
      await guard(`moving ${resultsStream(region)} to ${seq}`, () => manager.streams.purge(resultsStream(region), { seq }));
    },
  };
}

/** Where a stream stands, of the server's answer. */
export function stateOf({ state }: StreamInfo): LogStreamState {
  return { firstSeq: state.first_seq, lastSeq: state.last_seq, messages: state.messages };
}
