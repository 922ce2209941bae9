import type { Bus, Subscription } from "../../../src/bus/bus.ts";
import { KEEPERS, repairSubject } from "../../../src/bus/names.ts";
import { PortolanError } from "../../../src/core/errors.ts";
import { type ChainReply, type RepairRequest, repairRequestSchema, type StandsReply } from "../../../src/core/messages/peer.ts";
import { encodeRecord, packRecords } from "../../../src/core/record-wire.ts";
import type { Ledger } from "../../../src/ledger/types.ts";
import { errorText, type Log } from "../../log.ts";
import type { Register } from "./register.ts";

const REQUEST_BYTES_MAX = 1_000;
/** Answers in the making: each may hold 4 MB. */
const ANSWERING_MAX = 8;
/** One answer has to fit into a message of the server; the rest is asked for again. */
const ANSWER_BYTES_MAX = 7_000_000;

type ServeDeps = {
  readonly region: string;
  readonly bus: Bus;
  readonly ledger: Pick<Ledger, "logStands" | "readLog" | "chainAt">;
  readonly register: Pick<Register, "at">;
  readonly nowMs: () => number;
  readonly log: Log;
};

/** Answers what peers ask on `repair.<region>`, from the ledger, until the subscription is stopped. Whom it cannot answer asks again. */
export function serveRepair(deps: ServeDeps): Subscription {
  let answering = 0;
  let problem = "";
  const handler = async ({ data }: { data: Uint8Array }): Promise<Uint8Array> => {
    if (answering >= ANSWERING_MAX) throw new PortolanError("unavailable", "too many peers ask at once; ask again");
    answering += 1;
    try {
      const reply = await answer(deps, parse(data));
      problem = "";
      return reply;
    } catch (error) {
      const text = errorText(error);
      if (text !== problem) deps.log.warning(`a peer's question could not be answered: ${text}`);
      problem = text;
      throw error;
    } finally {
      answering -= 1;
    }
  };
  return deps.bus.serve(repairSubject(deps.region), { queue: KEEPERS, handler });
}

function parse(data: Uint8Array): RepairRequest {
  if (data.length > REQUEST_BYTES_MAX) throw new PortolanError("too-large", `a question of ${data.length} bytes; it has to be shorter`);
  return repairRequestSchema.parse(JSON.parse(new TextDecoder().decode(data)));
}

async function answer(deps: ServeDeps, request: RepairRequest): Promise<Uint8Array> {
  switch (request.kind) {
    case "stands":
      return json(await standsReply(deps));
    case "chain":
      return json({ chain: await deps.ledger.chainAt(request) } satisfies ChainReply);
    case "get": {
      const frames: Uint8Array[] = [];
      let bytes = 0;
      for (const item of await deps.ledger.readLog(request)) {
        const frame = encodeRecord(item);
        bytes += frame.length + 4;
        if (frames.length > 0 && bytes > ANSWER_BYTES_MAX) break;
        frames.push(frame);
      }
      return packRecords(frames);
    }
  }
}

async function standsReply({ ledger, register, nowMs }: ServeDeps): Promise<StandsReply> {
  const stands = await ledger.logStands();
  const frontier = Object.fromEntries(stands.filter(({ prefix }) => prefix >= 0).map(({ log, prefix }) => [log, prefix]));
  const hash = register.at(frontier);
  return { stands, settled: hash !== null, hash, frontier, nowMs: nowMs() };
}

function json(value: unknown): Uint8Array {
  return new TextEncoder().encode(JSON.stringify(value));
}
