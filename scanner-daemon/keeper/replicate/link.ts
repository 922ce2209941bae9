import { sha256Hex, verifyText } from "../../../src/bus/keys.node.ts";
import type { WireRecord } from "../../../src/core/record-wire.ts";
import { chainHash } from "../../../src/core/statement.ts";

/** Where a log has to be continued: the next number, and the chain hash before it ("" at 0). */
export type Head = { readonly next: number; readonly chain: string };

/** Why a record is not the one that continues its log at `head`; null when it is. `keys` may sign for the log's region. */
export function linkProblem({ id, region, acceptance }: WireRecord, head: Head, keys: readonly string[]): string | null {
  const { log, rseq, stampMs, judged, chain, signature } = acceptance;
  if (rseq !== head.next) return `record ${rseq} of log ${log} was sent where ${head.next} comes next`;
  if (chainHash({ log, rseq, previous: head.chain, id, stampMs, judged }, sha256Hex) !== chain)
    return `record ${rseq} of log ${log} does not continue what is held of that log`;
  if (keys.length === 0) return `the registry lists no keeper key of region "${region}", so log ${log} cannot be trusted; set it there`;
  if (!keys.some((key) => verifyText(key, chain, signature)))
    return `record ${rseq} of log ${log} is not signed by a keeper of region "${region}" that the registry lists`;
  return null;
}
