import { httpDatabase } from "../../src/ledger/database.ts";

/** What a ledger has accepted, watched from outside through plain SQL. */
export type RecordLog = {
  /** Records that the last look saw and this one does not see at the same place; also holes in a log. */
  compare(): Promise<string[]>;
  count(): Promise<number>;
  /** Each different reason (the first one of its report) for which a run of masscan or the prober was partial, with how often it was given. */
  partialReasons(): Promise<ReadonlyMap<string, number>>;
  close(): void;
};

/** Watches the ledger at this address. */
export function openLog(ledgerUrl: string): RecordLog {
  const database = httpDatabase({ url: ledgerUrl });
  let before = new Map<string, string>();
  const read = async (): Promise<Map<string, string>> => {
    const sql = "select log, rseq, hex(id) || ':' || hex(chain) as what from record order by log, rseq";
    const [rows] = await database.batch([{ sql }], "read");
    return new Map((rows ?? []).map((row) => [`log ${String(row["log"])} rseq ${String(row["rseq"])}`, String(row["what"])]));
  };
  return {
    compare: async () => {
      const now = await read();
      const lost = [...before].filter(([place, what]) => now.get(place) !== what).map(([place]) => `${place} is lost or changed`);
      const [rows] = await database.batch([{ sql: "select log, count(*) as n, max(rseq) as top from record group by log" }], "read");
      const holes = (rows ?? [])
        .filter((row) => Number(row["n"]) !== Number(row["top"]) + 1)
        .map((row) => `log ${String(row["log"])} has a hole`);
      before = now;
      return [...lost, ...holes];
    },
    count: async () => (await read()).size,
    partialReasons: async () => {
      const sql =
        "select problem, count(*) as n from report where problem is not null group by problem order by n desc, problem limit 1000";
      const [rows] = await database.batch([{ sql }], "read");
      return new Map((rows ?? []).map((row) => [String(row["problem"]), Number(row["n"])]));
    },
    close: () => database.close(),
  };
}
