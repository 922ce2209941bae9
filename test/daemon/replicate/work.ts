import { reportsSubject } from "../../../src/bus/names.ts";
import { parseAddress } from "../../../src/core/address.ts";
import { assignmentRanges } from "../../../src/core/masscan/argv.ts";
import { signedAssignmentSchema, submitReplySchema, type Receipt } from "../../../src/core/messages/bus.ts";
import type { Assignment } from "../../../src/core/messages/job.ts";
import { until } from "./patience.ts";
import { messagesOf } from "../keeper/scanner-part.ts";
import type { Bus } from "../../../src/bus/bus.ts";
import type { Ledger } from "../../../src/ledger/types.ts";
import type { ScannerName } from "../keeper/world.ts";

/** What a job or a scanner needs of a region. */
export type WorkRegion = { readonly name: string; readonly bus: Bus; readonly ledger: Ledger };
/** Regions, and the seeds of their scanners. */
export type WorkPlace<R extends string> = {
  readonly seeds: Readonly<Record<ScannerName, string>>;
  readonly regions: Readonly<Record<R, WorkRegion>>;
};

/** Starts a job of the plan in a region, and gives its id. */
export async function startJob(region: WorkRegion): Promise<string> {
  const id = await region.ledger.submitCommand("start-job", { planId: "plan-0" }, { nowMs: Date.now() });
  const answer = await until("an answer to start-job", () => region.ledger.awaitCommand(id, 5_000));
  if (!answer.ok) throw new Error(answer.message);
  return (answer.result as { job: string }).job;
}

/** Waits until a region knows that a job is complete. */
export async function finished(region: WorkRegion, job: string): Promise<void> {
  await until(`${region.name} knows that the job is complete`, async () => (await region.ledger.job(job))?.state === "complete");
}

/** Scanners that work through whatever their queue holds until `stop`; what they were told was kept. */
export type Scanners = { readonly receipts: Receipt[]; stop(): Promise<void> };

/** Lets the regions' scanners work: each sees of `open` what lies in its assignments, and keeps sending until it is acknowledged. */
export function startScanners<R extends string>(
  worlds: WorkPlace<R>,
  places: Readonly<Record<"s1" | "s2", R>>,
  open: () => readonly string[],
): Scanners {
  const end = { now: false };
  const receipts: Receipt[] = [];
  const work = async (scanner: "s1" | "s2"): Promise<void> => {
    const { bus, name } = worlds.regions[places[scanner]];
    while (!end.now) {
      const claim = await bus.claim(name, scanner, { waitMs: 50 }).catch(() => null);
      if (claim === null) {
        await new Promise((resolve) => setTimeout(resolve, 5));
        continue;
      }
      const { assignment } = signedAssignmentSchema.parse(JSON.parse(new TextDecoder().decode(claim.data)));
      const { part, report } = messagesOf(worlds, { assignment, open: seenBy(assignment, open()) });
      for (const bytes of [part, report]) if (bytes !== null) await deliver(bytes, bus, name, end, receipts);
      await claim.ack().catch(() => undefined);
    }
  };
  const working = [work("s1"), work("s2")];
  return {
    receipts,
    stop: async () => {
      end.now = true;
      await Promise.all(working);
    },
  };
}

/** Of "192.0.2.1:80": what this shard of the tile finds. */
export function seenBy(assignment: Assignment, open: readonly string[]): string[] {
  const ranges = assignmentRanges(assignment);
  return open.filter((text) => {
    const [address, port] = text.split(":");
    const number = parseAddress(address ?? "");
    const isOurs = Number(number % BigInt(assignment.shardCount)) === assignment.key.shard - 1;
    return isOurs && `,${assignment.ports},`.includes(`,${port},`) && ranges.some(({ first, last }) => number >= first && number <= last);
  });
}

async function deliver(bytes: Uint8Array, bus: Bus, region: string, end: { readonly now: boolean }, receipts: Receipt[]): Promise<void> {
  while (!end.now) {
    try {
      const reply = submitReplySchema.parse(
        JSON.parse(new TextDecoder().decode(await bus.request(reportsSubject(region), bytes, { timeoutMs: 2_000 }))),
      );
      if (reply.ok) {
        receipts.push(reply.receipt);
        return;
      }
      if (!reply.retry) throw new Error(`refused: ${reply.problem}`);
    } catch (error) {
      if (error instanceof Error && error.message.startsWith("refused")) throw error;
    }
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}
