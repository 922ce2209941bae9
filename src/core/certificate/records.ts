import type { Frontier } from "../messages/common.ts";
import type { JobSpec } from "../messages/job.ts";
import type { Release } from "../messages/record.ts";
import { chainHash, signedText, statementId } from "../statement.ts";
import type { CheckTools } from "./check.ts";
import type { CertificateRecord } from "./schema.ts";

/** The records of a certificate by their ids. */
export class Records {
  readonly #byId: ReadonlyMap<string, CertificateRecord>;
  readonly #all: readonly CertificateRecord[];
  readonly #tools: CheckTools;

  constructor(records: readonly CertificateRecord[], tools: CheckTools) {
    this.#all = records;
    this.#byId = new Map(records.map((record) => [record.id, record]));
    this.#tools = tools;
  }

  get(id: string): CertificateRecord | undefined {
    return this.#byId.get(id);
  }

  job(id: string): JobSpec | null {
    const statement = this.get(id)?.statement;
    return statement?.kind === "job" ? statement.content : null;
  }

  releases(): Release[] {
    return this.#all.flatMap(({ statement }) => (statement.kind === "release" ? [statement.content] : []));
  }

  /** Whether one of the record's positions is at or below the frontier. */
  isWithin(id: string, frontier: Frontier): boolean {
    return this.get(id)?.positions.some(({ log, rseq }) => rseq <= (frontier[log] ?? -1)) ?? false;
  }

  /** Ids that are not the hash of what they stand for, signatures that are not the author's, positions that no log can have. */
  problems(held: Frontier): string[] {
    const problems: string[] = [];
    if (this.#byId.size !== this.#all.length) problems.push("records: one stands twice");
    const holders = new Map<string, string>();
    for (const { id, statement, author, positions } of this.#all) {
      const name = `${statement.kind} ${id.slice(0, 12)}`;
      if (statementId(statement, this.#tools.sha256) !== id) problems.push(`${name}: its id is not the hash of its content`);
      if (!this.#tools.verify(author.publicKey, signedText(id), author.signature))
        problems.push(`${name}: ${author.name} has not signed it`);
      for (const { log, rseq, stampMs, judged, previous, chain } of positions) {
        const place = `${log}/${rseq}`;
        if ((holders.get(place) ?? id) !== id) problems.push(`${name}: another record has its position ${rseq}`);
        holders.set(place, id);
        if (previous === null && rseq > (held[log] ?? -1) + 1) continue;
        if (
          previous === null ||
          (rseq === 0) !== (previous === "") ||
          chainHash({ log, rseq, previous, id, stampMs, judged }, this.#tools.sha256) !== chain
        )
          problems.push(`${name}: its position ${rseq} is not chained to the one before`);
      }
    }
    return problems;
  }
}
