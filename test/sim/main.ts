import { fork } from "node:child_process";
import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { addTo, expected, type Happened } from "./features.ts";
import { replaceGlobals } from "./globals.ts";
import { installHooks, sqlEdits } from "./hooks.ts";
import { MUTANTS, type Mutant } from "./mutants.ts";
import type { SimulationResult } from "./simulate.ts";

// npm run simulate -- --seeds N --from S [--trace] [--weakest] [--workers W] [--mutant NAME]
// Runs N seeds; for each one that fails, says what broke and which command replays it. Ends with code 1 when one failed.

const { values } = parseArgs({
  options: {
    seeds: { type: "string", default: "100" },
    from: { type: "string", default: "1" },
    /** Prints everything that happened. */
    trace: { type: "boolean", default: false },
    /** Every plan closes after one miss and asks for no confirm. */
    weakest: { type: "boolean", default: false },
    workers: { type: "string", default: "2" },
    /** Runs with a mistake in the product, until a seed fails. */
    mutant: { type: "string" },
    /** Seeds of one worker: every `step`-th; for the workers themselves. */
    step: { type: "string" },
  },
});
const [seeds, from] = [positive(values.seeds, "--seeds"), positive(values.from, "--from")];
const workers = Math.min(seeds, positive(values.workers, "--workers"));
const startedMs = performance.now();
process.exitCode = values.step === undefined && workers > 1 && !values.trace ? await runWorkers() : await runSeeds();

/** Shares the seeds out to child processes; their lines come through as they are. */
async function runWorkers(): Promise<number> {
  const total = expected(values);
  const options = [...(values.weakest ? ["--weakest"] : []), ...(values.mutant === undefined ? [] : ["--mutant", values.mutant])];
  const codes = Array.from({ length: workers }, (_, index) => {
    const share = ["--from", String(from + index), "--seeds", String(seeds - index), "--step", String(workers), ...options];
    const child = fork(fileURLToPath(import.meta.url), share, { stdio: "inherit" });
    child.on("message", (message) => addTo(total, message as Happened));
    return new Promise<number>((resolve) => child.once("close", (code) => resolve(code ?? 1)));
  });
  const failed = (await Promise.all(codes)).some((code) => code !== 0);
  const seconds = ((performance.now() - startedMs) / 1_000).toFixed(1);
  console.log(happenedText(total));
  console.log(failed ? `some of ${seeds} seeds failed, see above (${seconds} s)` : `${seeds} seeds ran clean in ${seconds} s`);
  return failed ? 1 : 0;
}

async function runSeeds(): Promise<number> {
  const mutant = chosenMutant();
  const edits = mutant?.edits ?? [];
  const mutateSql = sqlEdits(edits, (file) => readFileSync(new URL(`../../${file}`, import.meta.url), "utf8"));
  installHooks(edits);
  const { simulate } = await import("./simulate.ts");
  // From here on time stands still outside of a simulation.
  replaceGlobals();
  const total = values.step === undefined ? expected(values) : {};
  let failures = 0;
  for (let seed = from; seed < from + seeds; seed += Number(values.step ?? 1)) {
    const result = await simulate(seed, {
      traced: values.trace,
      weakest: values.weakest,
      ...(mutateSql === null ? {} : { mutateSql }),
    });
    addTo(total, result.happened);
    if (values.trace) console.log(result.trace.join("\n"));
    if (values.step === undefined || result.failure !== null) console.log(summary(result));
    if (result.failure !== null) failures += 1;
    if (failures > 0 && mutant !== null) break;
  }
  if (values.step === undefined) console.log(happenedText(total));
  else process.send?.(total);
  return failures > 0 ? 1 : 0;
}

function summary({ seed, failure, steps, records, happened, digest }: SimulationResult): string {
  const facts = `${steps} steps, ${records} records, ${happened["services closed"] ?? 0} services closed, digest ${digest}`;
  if (failure === null) return `seed ${seed}: ok (${facts})`;
  const flags = [...(values.weakest ? ["--weakest"] : []), ...(values.mutant === undefined ? [] : [`--mutant ${values.mutant}`])];
  return `seed ${seed}: FAILED: ${failure}\n  replay: ${["npm run simulate -- --seeds 1", `--from ${seed}`, "--trace", ...flags].join(" ")}`;
}

/** How often each thing happened, and what did not: that was not tested. */
function happenedText(total: Happened): string {
  const never = Object.keys(total).filter((what) => total[what] === 0);
  const often = Object.entries(total).flatMap(([what, times]) => (times === 0 ? [] : [`${what} ${times}`]));
  return `happened: ${often.join(", ")}\nnever happened: ${never.length === 0 ? "nothing" : never.join(", ")}`;
}

function chosenMutant(): Mutant | null {
  if (values.mutant === undefined) return null;
  const found = MUTANTS.find(({ name }) => name === values.mutant);
  if (found === undefined)
    throw new Error(`there is no mutant "${values.mutant}"; there are ${MUTANTS.map(({ name }) => name).join(", ")}`);
  return found;
}

function positive(text: string, name: string): number {
  if (!/^[1-9]\d{0,8}$/.test(text)) throw new Error(`${name} has to be a number from 1 on, not "${text}"`);
  return Number(text);
}
