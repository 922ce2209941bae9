import { parseArgs } from "node:util";
import { holds, runFaults } from "./faults.ts";

// npm run faults -- [--schedules 50] [--from 1]

const { values } = parseArgs({ options: { schedules: { type: "string", default: "50" }, from: { type: "string", default: "1" } } });
const end = new AbortController();
// The schedule that runs is finished, so that everything is ended in order; a second Ctrl-C ends at once.
process.once("SIGINT", () => end.abort());
const result = await runFaults({
  schedules: Number(values.schedules),
  from: Number(values.from),
  say: (line) => console.error(line),
  signal: end.signal,
});
console.log(JSON.stringify(result, null, 2));
process.exit(holds(result) ? 0 : 1);
