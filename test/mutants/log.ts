import { judgedSchema } from "../../src/core/messages/record.ts";
import { chainHash } from "../../src/core/statement.ts";
import { numberOf, textOf } from "../../src/ledger/database.ts";
import { ledgerOn } from "../../src/ledger/ledger.ts";
import type { AcceptItem, PeerItem } from "../../src/ledger/types.ts";
import { contextAt, reportOf, sha256, sightingsOf, uploadOf } from "../ledger/builders.ts";
import { openMemoryDatabase } from "../ledger/memory-database.ts";
import { failureText, type Killer, must } from "./killer.ts";

const OWN = "a".repeat(32);
const PEER = "b".repeat(32);

/** The rules of a log: dense, each record once, chained, no position used twice, a prefix without holes. */
export const logKiller: Killer = async (mutate) => {
  const database = openMemoryDatabase(mutate);
  try {
    const ledger = ledgerOn(database, "eu");
    await ledger.ensureLog(() => OWN);
    const epoch = (await ledger.takeLease({ holder: "k", nowMs: 0, ttlMs: 1 }))?.epoch ?? -1;
    const [one, two, three] = ["one", "two", "three"].map((source) => uploadOf(sightingsOf(["192.0.2.1:80"]), source));
    if (one === undefined || two === undefined || three === undefined) return "no records";
    const accept = async (...items: AcceptItem[]): Promise<number[]> =>
      (await ledger.accept(items, contextAt(epoch, 1))).map(({ rseq }) => rseq);
    const numbers = [await accept(one, one, two), await accept(two, three), await accept(one)];
    must(JSON.stringify(numbers) === "[[0,0,1],[1,2],[0]]", `a repeat got another number: ${JSON.stringify(numbers)}`);
    const doubted = reportOf({ key: { job: "0".repeat(64), tile: 0, shard: 1, attempt: 1 } });
    await accept({ ...doubted, judged: { kind: "partial", reasons: ["no evidence"] } });
    const peer = (item: AcceptItem, log: string, rseq: number): PeerItem => {
      return {
        ...item,
        region: "us",
        acceptance: { log, rseq, stampMs: 2, judged: null, chain: sha256(`${rseq}`), signature: "A".repeat(86) },
      };
    };
    const put = (...items: PeerItem[]): Promise<void> => ledger.applyPeers({ items: items }, contextAt(epoch, 1));
    const other = uploadOf(sightingsOf(["192.0.2.9:80"]), "other");
    const reused = await put(peer(other, OWN, 1)).then(
      () => "taken",
      () => "refused",
    );
    must(reused === "refused", "another record took a position that was used");
    await put(peer(other, PEER, 0), peer(one, PEER, 2));
    must((await ledger.frontier())[PEER] === 0, "the frontier goes over a hole");
    await put(peer(two, PEER, 1));
    must((await ledger.frontier())[PEER] === 2, "the frontier stops before what is held");
    const [rows] = await database.batch(
      [
        {
          sql: "select r.rseq, lower(hex(r.id)) as id, r.stamp_ms, r.judged, lower(hex(r.chain)) as chain from record r cross join log l on l.n = r.log where l.own = 1 order by rseq",
        },
      ],
      "read",
    );
    let previous = "";
    for (const [rseq, row] of (rows ?? []).entries()) {
      const chain = chainHash(
        { log: OWN, rseq, previous, id: textOf(row, "id"), stampMs: numberOf(row, "stamp_ms"), judged: judgedSchema.parse(row["judged"]) },
        sha256,
      );
      must(numberOf(row, "rseq") === rseq && textOf(row, "chain") === chain, `position ${rseq} is not chained to the one before`);
      previous = chain;
    }
    must(rows?.length === 4, `the log has ${rows?.length ?? 0} records instead of 4`);
    return null;
  } catch (error) {
    return failureText(error);
  } finally {
    database.close();
  }
};
