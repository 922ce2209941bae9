import { sha256Hex } from "../../../src/bus/keys.node.ts";
import { repairSubject } from "../../../src/bus/names.ts";
import type { PeerLink } from "../../../src/bus/peer.ts";
import { PortolanError } from "../../../src/core/errors.ts";
import { chainReplySchema, type RepairRequest, standsReplySchema, type StandsReply } from "../../../src/core/messages/peer.ts";
import { decodeRecord, unpackRecords, type WireRecord } from "../../../src/core/record-wire.ts";

/** Questions to one peer; each throws `unavailable` without an answer in time, `invalid` for one that makes no sense. */
export type Asker = {
  readonly region: string;
  stands(): Promise<StandsReply>;
  /** Empty when the peer does not hold the first one. */
  records(query: { readonly log: string; readonly from: number; readonly limit: number }): Promise<WireRecord[]>;
  chain(position: { readonly log: string; readonly rseq: number }): Promise<string | null>;
};

/** Asks over one link. */
export function askerOn(link: Pick<PeerLink, "region" | "request">, timeoutMs: number): Asker {
  const ask = (request: RepairRequest): Promise<Uint8Array> =>
    link.request(repairSubject(link.region), new TextEncoder().encode(JSON.stringify(request)), { timeoutMs });
  return {
    region: link.region,
    stands: async () => parsed(standsReplySchema, await ask({ kind: "stands" }), link.region),
    records: async ({ log, from, limit }) => {
      const frames = unpackRecords(await ask({ kind: "get", log, from, limit }));
      return frames.map((frame) => decodeRecord(frame, sha256Hex));
    },
    chain: async ({ log, rseq }) => parsed(chainReplySchema, await ask({ kind: "chain", log, rseq }), link.region).chain,
  };
}

type Schema<T> = { safeParse(value: unknown): { success: true; data: T } | { success: false } };

function parsed<T>(schema: Schema<T>, bytes: Uint8Array, region: string): T {
  const found = schema.safeParse(parseJson(bytes));
  if (found.success) return found.data;
  throw new PortolanError("invalid", `region "${region}" gives an answer that makes no sense here; run the same version in both regions`);
}

function parseJson(bytes: Uint8Array): unknown {
  try {
    return JSON.parse(new TextDecoder().decode(bytes));
  } catch {
    return undefined;
  }
}
