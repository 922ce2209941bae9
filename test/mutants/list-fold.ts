import type { Mutant } from "./list.ts";

const mutant =
  (file: string, killer: Mutant["killer"]) =>
  (name: string, from: string, to: string): Mutant => ({ name: `fold: ${name}`, file, from, to, killer });

const coverage = mutant("src/core/verdict/coverage.ts", "weak");
const fold = mutant("src/core/verdict/fold.ts", "weak");
const chain = mutant("src/core/verdict/fold.ts", "chain");
const confirm = mutant("src/core/verdict/confirm.ts", "confirm");
const sighted = mutant("src/core/verdict/sighted.ts", "weak");

/** Mistakes in the reference fold: the projection does not make them, so the two differ. */
export const FOLD_MUTANTS: readonly Mutant[] = [
  fold("the frontier is ignored", "if (covers && seenAt.every((position) => isWithin(position, spec.frontier)))", "if (covers)"),
  fold("one position of a sighting is enough", "seenAt.every(", "seenAt.some("),
  fold("coverage of addresses is ignored", "containsAddress(tile.ranges, service.address) && ", ""),
  fold("coverage of ports is ignored", " && containsPort(tile.ports, service.protocol, service.port)", ""),
  coverage("completeness is ignored", ' || outcome.kind !== "complete"', ""),
  coverage("a keeper's judgement is ignored", 'one.id === id && one.judged === "complete"', "one.id === id"),
  coverage("a record below the frontier may be missing", "reportsHold && isFrontierHeld(records, spec.frontier)", "reportsHold"),
  coverage("a hole below the frontier does not matter", "return held.size === upto + 1;", "return held.has(upto);"),
  coverage("the frontier begins one too high", "rseq <= upto;", "rseq <= upto + 1;"),
  coverage("a tile-complete may leave out a shard", "shards.length !== tile.members.length || ", ""),
  coverage("a report of another shard counts", "key.shard !== wanted.shard || ", ""),
  coverage("a report of another tile counts", "key.tile !== wanted.tile || ", ""),
  coverage("a report counts without its parts", "return parts.every(", "return true || parts.every("),
  coverage("a contradiction is ignored", "if (new Set(ofRun.map((one) => one.id)).size > 1) return false;", ""),
  coverage("a run contradicts another key's", " && author === record.author", ""),
  coverage("reports of a revoked key count", " || revokedKeys(records).has(record.author)", ""),
  coverage("a held tile counts", "if (isHeld(records, complete)) return null;", ""),
  coverage("a release is ignored", "other.statement.content.tileComplete === id", "other.statement.content.job === id"),
  coverage("any release will do", "other.statement.content.tileComplete === id", "true"),
  sighted("an open answer of a probe is no sighting", 'result.answer === "open" && ', "result.port < 0 && "),
  chain("jobs that ran at one time are two looks", "isWithin(record, later.spec.frontier)", "true"),
  chain("one job counts twice", "before.job !== next.job && isBefore(", "before.job === next.job || isBefore("),
  chain("one miss is enough", "let length = 1; length < closeAfter", "let length = 2; length < closeAfter"),
  confirm("no confirm is needed", "return required.every(", "return true || required.every("),
  confirm("one region of two is enough", "required.every(", "required.some("),
  confirm("an upload lends a vantage", ' && record.statement.kind !== "upload"', ""),
  confirm("an error confirms", '(result.answer === "closed" || result.answer === "filtered")', 'result.answer !== "open"'),
  confirm("a confirm may be older than the sighting", "positions.every((position) => isWithin(position, frontier)) &&", ""),
  confirm("a confirm may be older than its miss", "completes.some((complete) => isWithin(complete, frontier)) &&", ""),
  confirm("a confirm's frontier may have holes", " &&\n      isFrontierHeld(records, frontier)", ""),
  confirm("one other scanner is enough", "new Set(others).size >= 2", "new Set(others).size >= 1"),
  confirm("one other scanner counts twice", "new Set(others).size >= 2", "others.length >= 2"),
  confirm("probes of a revoked key confirm", " || revoked.has(record.author)", ""),
  confirm("a probe confirms where it was not accepted", "|| record.region !== region ", ""),
  confirm("the home need not confirm what nobody sighted", "sighted.length === 0 ? [miss.spec.home] : sighted", "sighted"),
];
