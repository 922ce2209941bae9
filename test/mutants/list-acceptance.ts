import type { Mutant } from "./list.ts";

const mutant =
  (file: string, killer: Mutant["killer"]) =>
  (name: string, from: string, to: string): Mutant => ({ name: `acceptance: ${name}`, file, from, to, killer });

const outcome = mutant("src/core/masscan/outcome.ts", "acceptance");
const check = mutant("scanner-daemon/keeper/check.ts", "acceptance");
const specs = mutant("scanner-daemon/keeper/specs.ts", "acceptance");
const probe = mutant("scanner-daemon/keeper/check-probe.ts", "confirmation");
const accept = mutant("src/ledger/accept.ts", "log");
const tile = mutant("src/core/tile.ts", "tiles");

/** Mistakes in what keepers believe, under the weakest policy: one report closes. */
export const ACCEPTANCE_MUTANTS: readonly Mutant[] = [
  outcome("completeness is ignored", "if (first === undefined)", "if (true)"),
  outcome("exit code is ignored", "[evidence.exitCode === 0,", "[true,"),
  outcome("a signal is ignored", "[evidence.signal === null,", "[true,"),
  outcome("a stop of our own is ignored", "[!evidence.signalSent,", "[true,"),
  outcome("exit 0 is enough", "[evidence.reachedWaiting,", "[true,"),
  outcome("an interruption is ignored", "[!evidence.savedResume,", "[true,"),
  outcome("error lines are ignored", "[evidence.errorLines.length === 0,", "[true,"),
  outcome("output may end early", "[evidence.stdoutEnded,", "[true,"),
  outcome("the last line may be cut", "[evidence.lastLineWhole,", "[true,"),
  outcome("refused lines are ignored", "evidence.linesRefused === 0,", "true,"),
  outcome("the wait is ignored", "evidence.waitedS >= task.waitS", "evidence.waitedS >= -task.waitS"),
  outcome("offloads are ignored", "[evidence.offloadsOn.length === 0,", "[true,"),
  outcome("drops are ignored", "evidence.interfaceDrops <= dropsMax", "evidence.interfaceDrops >= 0"),
  outcome("an unknown configuration is fine", '["masscan\'s effective configuration is not known"]', "[]"),
  outcome("another seed is fine", "effective.seed === task.seed", "true"),
  outcome("another rate is fine", "effective.rateLimitPps === task.rateLimitPps", "true"),
  outcome("another shard is fine", "effective.shard === task.key.shard &&", ""),
  outcome("another number of shards is fine", " && effective.shardCount === task.shardCount", ""),
  outcome("other retries are fine", "effective.retries === task.retries", "true"),
  outcome("other ports are fine", "effective.ports === wanted.ports", "true"),
  outcome("other ranges are fine", "effective.rangesSha256 === wanted.rangesSha256", "true"),
  outcome("another masscan is fine", "const family = versionFamily(effective.version);", "const family = task.masscanFamily;"),
  outcome("the engine does not matter", "evidence.engine !== task.engine", "false"),
  outcome("a connect run may end early", "[evidence.ended,", "[true,"),
  outcome("local errors are answers", "[evidence.errors === 0,", "[true,"),
  outcome("pairs may lack an answer", "[answered === pairs,", "[answered <= pairs,"),
  outcome("too few pairs are fine", "[evidence.pairs === pairs,", "[true,"),
  outcome("a connect shard is not looked at", "evidence.shard === task.key.shard &&", ""),
  outcome("connect ports are not looked at", "evidence.ports === wanted.ports", "true"),
  outcome("connect ranges are not looked at", "evidence.rangesSha256 === wanted.rangesSha256", "true"),
  outcome("canaries need not answer", "answered * 2 > asked", "answered >= 0"),
  outcome("half of the canaries are a majority", "answered * 2 > asked", "answered * 2 >= asked"),
  outcome("canaries need not be asked", "asked === task.canaries.length", "true"),
  check("the scanner's word is enough", 'own.kind === "complete" ? report.outcome : own', "report.outcome"),
  check("no signature is needed", "if (!deps.verify(author.publicKey, signedText(id), author.signature))", "if (author.signature === '')"),
  check("any key will do", "if (registered.publicKey !== author.publicKey)", "if (registered.publicKey === '')"),
  check("a scanner that is switched off may speak", "registered === undefined || !registered.enabled", "registered === undefined"),
  check("a scanner of any region may speak", "if (registered.region !== deps.region)", "if (registered.region === '')"),
  check("a scanner may speak for another", "return named === author.name ? null", "return named !== '' ? null"),
  check("a shard may be anybody's", "?? member) === scanner)", "?? member) !== '' && scanner !== '')"),
  check("a payload may be exchanged", "payload === null || sha256(payload) !== part.payloadSha256", "payload === null"),
  check("a part may lack sightings", "return table.count === part.sightings", "return table.count >= 0"),
  check("sightings outside the tile count", "if (stray !== null)", "if (stray !== null && stray.port < 0)"),
  check("a report may lose its parts", "announced !== report.sightings || ", ""),
  check("a part may count twice", " || new Set(report.parts.map((part) => part.id)).size !== report.parts.length", ""),
  check("a tile need not exist", "if (key.tile >= job.tiling.count)", "if (key.tile > job.tiling.count)"),
  specs("a shard's number is one too high", "tile.members[shard - 1]", "tile.members[shard]"),
  probe(
    "an order need not be signed",
    "if (!deps.verify(order.keeper, confirmOrderSignedText(order), order.signature))",
    "if (order.signature === '')",
  ),
  probe("an order may be another keeper's", "if (order.keeper !== deps.keeper)", "if (order.keeper === '')"),
  probe("results need not be the order's", "if (!answersAll(order, results))", "if (results.length === 0)"),
  probe("one connect is enough", "connects >= CONNECTS_MIN", "connects >= 1"),
  probe("canaries of a confirm need not answer", "if (blindness !== undefined)", "if (blindness === '')"),
  probe("canaries of a confirm need not be asked", "{ canaries: order.canaries ?? [] }", "{ canaries: [] }"),
  probe("a moment is enough", "endedAtMs - startedAtMs >= SPAN_MS", "endedAtMs - startedAtMs >= 0"),
  {
    ...probe("a probe may be another scanner's", "return statement.content.order.scanner;", 'return "gamma";'),
    file: "scanner-daemon/keeper/check.ts",
  },
  accept("a judgement is not chained", "id: item.id, stampMs, judged }", "id: item.id, stampMs, judged: null }"),
  accept("a repeat gets a second number", "if (seen.has(item.id)) continue;", ""),
  accept("a record is not chained to the one before", "previous = chain;", ""),
  tile("a tile ends one address late", "const end = range.first + (to - start) - 1n;", "const end = range.first + (to - start);"),
  tile("a tile begins one address late", "range.first + (from - start) : range.first;", "range.first + (from - start) + 1n : range.first;"),
  {
    ...tile(
      "one address falls between two tiles",
      "const roundFrom = (tiles - longAll) * shortFrom + longAll * longFrom;",
      "const roundFrom = (tiles - longAll) * shortFrom + longAll * longFrom + (round > 0n ? 1n : 0n);",
    ),
    file: "src/core/tile-stride.ts",
  },
  {
    ...tile("a connect shard's number is one too high", "BigInt(task.key.shard - 1)", "BigInt(task.key.shard)"),
    file: "scanner-daemon/scanner/connect-run.ts",
  },
  {
    ...tile("masscan is told the next shard", "`${task.key.shard}/${task.shardCount}`", "`${task.key.shard + 1}/${task.shardCount}`"),
    file: "src/core/masscan/argv.ts",
  },
];
