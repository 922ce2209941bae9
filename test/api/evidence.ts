import { newSeed, publicKeyOf, signText } from "../../src/bus/keys.node.ts";
import type { Report } from "../../src/core/messages/report.ts";
import { confirmOrderSignedText, signedText, statementId } from "../../src/core/statement.ts";
import type { AcceptItem, Ledger } from "../../src/ledger/types.ts";
import { itemOf, jobSpecOf, partOf, probeOf, reportOf, sha256, sightingsOf, tileCompleteOf } from "../ledger/builders.ts";
import { TestKeeper } from "../ledger/ledger-test.ts";
import { openMemoryDatabase } from "../ledger/memory-database.ts";

/** A ledger in memory whose records are truly signed: 192.0.2.3:443 is open, 192.0.2.4:80 missing, 192.0.2.5:22 closed; the last job is held. */
export type Evidence = { readonly ledger: Ledger; readonly jobs: readonly string[]; readonly nowMs: number; close(): void };

const [OPEN, MISSING, CLOSED] = ["192.0.2.3:443", "192.0.2.4:80", "192.0.2.5:22"];

export async function startEvidence(): Promise<Evidence> {
  const database = openMemoryDatabase();
  const keeper = await TestKeeper.on(database);
  const seed = newSeed();
  const publicKey = publicKeyOf(seed);
  const signed = (item: AcceptItem): AcceptItem => {
    const id = statementId(item.statement, sha256);
    return { ...item, id, author: { name: "scanner-1", publicKey, signature: signText(seed, signedText(id)) } };
  };
  const run = async (seen: string[], held: string | null = null): Promise<string> => {
    const spec = jobSpecOf({
      frontier: await keeper.ledger.frontier(),
      scanners: ["scanner-1"],
      ports: "22,80,443",
      pairsMax: 1_000,
      members: [{ scanner: "scanner-1", region: "eu", publicKey, place: 1 }],
      policy: { closeAfter: 2, confirm: true },
      plannedAtMs: keeper.nowMs + 500,
    });
    const job = signed(itemOf({ kind: "job", content: spec }));
    await keeper.accept(job);
    const key: Report["key"] = { job: job.id, tile: 0, shard: 1, attempt: 1 };
    const parts = seen.length === 0 ? [] : [signed(partOf(key, job.id, 0, sightingsOf(seen, Math.floor(keeper.nowMs / 1_000))))];
    const report = signed(reportOf({ key, run: job.id, parts, probesSent: 48 }));
    await keeper.accept(...parts, report);
    keeper.nowMs += 3_600_000;
    await keeper.accept(signed(tileCompleteOf(job.id, 0, [report], held)));
    await keeper.settle();
    return job.id;
  };
  const jobs = [await run([OPEN, MISSING, CLOSED]), await run([OPEN, MISSING]), await run([OPEN])];
  await keeper.accept(confirmed(await keeper.ledger.frontier(), jobs[2] ?? "", { seed, publicKey }, signed));
  await keeper.settle();
  jobs.push(await run([], "1 of 1 open services would be missing"));
  return { ledger: keeper.ledger, jobs, nowMs: keeper.nowMs + 60_000, close: () => database.close() };
}

function confirmed(
  frontier: Record<string, number>,
  job: string,
  { seed, publicKey }: { readonly seed: string; readonly publicKey: string },
  signed: (item: AcceptItem) => AcceptItem,
): AcceptItem {
  const item = probeOf({ job, frontier, answers: { [CLOSED ?? ""]: "closed" } });
  if (item.statement.kind !== "probe") throw new Error("no probe");
  const order = { ...item.statement.content.order, keeper: publicKey };
  const sealed = { ...order, signature: signText(seed, confirmOrderSignedText(order)) };
  return signed({ ...item, statement: { kind: "probe", content: { ...item.statement.content, order: sealed } } });
}
