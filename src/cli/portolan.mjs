#!/usr/bin/env node
// Runs with whatever Node is on the path, and hands over to the pinned one: the sources are TypeScript that only it reads.
import { spawn } from "node:child_process";
import { existsSync } from "node:fs";
import { fileURLToPath } from "node:url";

const pinned = fileURLToPath(new URL("../../node_modules/.bin/node", import.meta.url));
const main = fileURLToPath(new URL("./main.ts", import.meta.url));
const libraries = fileURLToPath(new URL("../../node_modules/commander/package.json", import.meta.url));
// Messages show commands as the reader has to type them.
if (process.env.npm_command === "exec") process.env.PORTOLAN_CALLED_AS ??= "npx portolan";
const [major, minor] = process.versions.node.split(".").map(Number);

if (!existsSync(libraries)) {
  process.stderr.write('portolan: not set up yet; run "npm run setup" in the folder of Portolan once\n');
  process.exitCode = 2;
} else if (major > 24 || (major === 24 && minor >= 12)) {
  const { runProcess } = await import("./main.ts");
  await runProcess();
} else if (!existsSync(pinned)) {
  process.stderr.write(
    `portolan: this is Node ${process.versions.node}, and node_modules has no Node 24 for it; run "npm run setup", or install Node 24.12 or later\n`,
  );
  process.exitCode = 2;
} else {
  const child = spawn(pinned, [main, ...process.argv.slice(2)], { stdio: "inherit" });
  // A terminal sends Ctrl-C to both; the child decides what it means, and its exit code is ours.
  for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"]) {
    process.on(signal, () => {
      if (signal !== "SIGINT" || !process.stdin.isTTY) child.kill(signal);
    });
  }
  child.on("error", (error) => {
    process.stderr.write(`portolan: cannot start ${pinned}: ${error.message}\n`);
    process.exitCode = 2;
  });
  child.on("exit", (code, signal) => {
    process.exitCode = code ?? (signal === "SIGINT" ? 130 : 2);
  });
}
