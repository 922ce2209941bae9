import { spawn } from "node:child_process";
import { fileURLToPath } from "node:url";
import { type KillerName, MUTANTS } from "./list.ts";

// npm run mutants: every mistake of the list has to be found, and nothing may be found in the product as it is.
const CHILD = fileURLToPath(new URL("child.ts", import.meta.url));
const CHILD_MS_MAX = 300_000;
const AT_A_TIME = 2;
const HISTORIES = 2_000;
/** For the product as it is, which has to stand all of them. */
const HISTORIES_WHOLE = 200;

type End = { readonly code: number | null; readonly text: string; readonly problem: string };

function run(killer: KillerName, index: number, histories: number): Promise<End> {
  return new Promise((resolve) => {
    const child = spawn(process.execPath, [CHILD, killer, String(index), String(histories)], {
      stdio: ["ignore", "pipe", "pipe"],
      timeout: CHILD_MS_MAX,
    });
    let [text, problem] = ["", ""];
    child.stdout.on("data", (chunk: Buffer) => (text += chunk.toString("utf8").slice(0, 2_000)));
    child.stderr.on("data", (chunk: Buffer) => (problem += chunk.toString("utf8").slice(0, 2_000)));
    child.on("close", (code) => resolve({ code, text: text.trim(), problem: problem.trim() }));
  });
}

let killed = 0;
let wrong = 0;
const only = process.argv[2];
const work: (() => Promise<void>)[] = [...new Set(MUTANTS.map(({ killer }) => killer))].map((killer) => async () => {
  const { code, text, problem } = await run(killer, -1, HISTORIES_WHOLE);
  if (code === 0 && text === "") return console.info(`whole     ${killer}: nothing is found in the product as it is`);
  wrong++;
  console.info(`WRONG     ${killer}: ${text}${problem}`);
});
const chosen = [...MUTANTS.entries()].filter(([, { name }]) => only === undefined || name.includes(only));
for (const [index, { name, killer }] of chosen) {
  work.push(async () => {
    const { code, text, problem } = await run(killer, index, HISTORIES);
    const isKilled = code === 0 && text !== "";
    if (isKilled) killed++;
    console.info(`${isKilled ? "killed   " : "SURVIVED "} ${name}: ${(isKilled ? text : problem).slice(0, 160)}`);
  });
}
await Promise.all(
  Array.from({ length: AT_A_TIME }, async () => {
    for (let next = work.shift(); next !== undefined; next = work.shift()) await next();
  }),
);
console.info(`killed ${killed} of ${chosen.length}`);
if (killed < chosen.length || wrong > 0) process.exitCode = 1;
