// Runs the lanes of vitest.config.ts beside each other and lets vitest put their results together: its summary has the last word.
// With arguments it is plain vitest.
import { spawn } from "node:child_process";
import { mkdirSync, readFileSync, rmSync } from "node:fs";
import { fileURLToPath } from "node:url";

const root = fileURLToPath(new URL("..", import.meta.url));
const vitest = `${root}node_modules/.bin/vitest`;
const reports = `${root}.cache/test-reports`;
/** The lab lane goes first: a scan that has to wait for a processor loses answers. */
const NICENESS = { lab: 0, process: 5, runtimes: 5, unit: 10 };
/** Lanes of one row run one after the other, the rows beside each other: so that three at a time share two processors. */
const ROWS = [["lab"], ["process", "runtimes"], ["unit"]];
/** A lane that hangs fails the run instead of holding it for ever. */
const LANE_TIMEOUT_MS = 20 * 60_000;

function run(args, niceness) {
  return new Promise((resolve) => {
    const argv = ["-n", String(niceness), process.execPath, vitest, "run", ...args];
    const child = spawn("nice", argv, { cwd: root, stdio: ["ignore", "inherit", "inherit"] });
    const stop = () => child.kill("SIGTERM");
    const timer = setTimeout(stop, LANE_TIMEOUT_MS);
    process.once("SIGINT", stop);
    process.once("SIGTERM", stop);
    child.once("close", (code) => {
      clearTimeout(timer);
      resolve(code ?? 1);
    });
  });
}

async function lane(name) {
  const startedAtMs = Date.now();
  // `runtimes` also stands for the project whose tests run inside workerd.
  const code = await run(["--project", `${name}*`, "--reporter=blob", `--outputFile=${reports}/${name}.json`], NICENESS[name]);
  process.stderr.write(
    `lane ${name}: ${code === 0 ? "passed" : `failed (exit ${code})`} after ${Math.round((Date.now() - startedAtMs) / 1000)} s\n`,
  );
  return code;
}

/** One plain line for whoever reads the log by machine. */
function closingLine(file) {
  const { numPassedTests, numFailedTests, numPendingTests, numTodoTests } = JSON.parse(readFileSync(file, "utf8"));
  const notRun = numPendingTests + numTodoTests;
  return `${numPassedTests} passed, ${numFailedTests} failed${notRun > 0 ? `, ${notRun} skipped` : ""}`;
}

const args = process.argv.slice(2);
if (args.length > 0) {
  process.exitCode = await run(args, 0);
} else {
  rmSync(reports, { recursive: true, force: true });
  mkdirSync(reports, { recursive: true });
  const row = async (names) => {
    const codes = [];
    for (const name of names) codes.push(await lane(name));
    return codes;
  };
  const codes = (await Promise.all(ROWS.map(row))).flat();
  const counts = `${root}.cache/test-counts.json`;
  const merged = await run([`--merge-reports=${reports}`, "--reporter=default", "--reporter=json", `--outputFile.json=${counts}`], 0);
  process.stdout.write(`${closingLine(counts)}\n`);
  process.exitCode = codes.every((code) => code === 0) ? merged : 1;
}
