import { parseArgs } from "node:util";
import { benchClose } from "./close.ts";
import { benchExport } from "./export.ts";
import { benchFalseClose } from "./false-close.ts";
import { benchHotList } from "./hot-list.ts";
import { benchIngest } from "./ingest.ts";
import { benchRegions } from "./regions.ts";
import { type BenchResult, keepsBudget, tableOf } from "./result.ts";
import { benchScan } from "./scan.ts";
import { benchSearch } from "./search.ts";

const BENCHES: Readonly<Record<string, () => Promise<BenchResult>>> = {
  ingest: () => benchIngest(),
  scan: () => benchScan(),
  close: () => benchClose(),
  search: () => benchSearch(),
  export: () => benchExport(),
  "false-close": () => benchFalseClose(),
  "hot-list": () => benchHotList(),
  regions: () => benchRegions(),
};
const USAGE = `usage: npm run bench -- [--json] [${Object.keys(BENCHES).join(" | ")}] …`;

/** Runs the named benches, all when none is named. Exit code 0 when every budget holds, 1 when not, 2 for a wrong name. */
async function main(): Promise<number> {
  const { values, positionals } = parseArgs({
    options: { json: { type: "boolean" }, help: { type: "boolean", short: "h" } },
    allowPositionals: true,
  });
  const names = positionals.length > 0 ? positionals : Object.keys(BENCHES);
  const unknown = names.find((name) => !Object.hasOwn(BENCHES, name));
  if (values.help === true || unknown !== undefined) {
    console.error(unknown === undefined ? USAGE : `there is no bench "${unknown}"; ${USAGE}`);
    return values.help === true ? 0 : 2;
  }
  const results: BenchResult[] = [];
  for (const name of names) {
    if (values.json === true) console.error(`bench ${name} …`);
    const result = await BENCHES[name]?.();
    if (result === undefined) continue;
    results.push(result);
    if (values.json !== true) console.log(tableOf(result));
  }
  if (values.json === true) console.log(JSON.stringify({ benches: results.map(withVerdicts) }));
  return results.every(({ lines }) => lines.every(keepsBudget)) ? 0 : 1;
}

function withVerdicts(result: BenchResult): unknown {
  return { ...result, lines: result.lines.map((line) => ({ ...line, keeps: keepsBudget(line) })) };
}

process.exitCode = await main();
