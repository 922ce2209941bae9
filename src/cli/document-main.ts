import { writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { commandsDocument } from "./document.ts";
import { createProgram } from "./program.ts";

// Writes docs/cli.md anew.

const silent = { isTTY: false, columns: 100, write: () => undefined, stream: null };
const program = createProgram(
  {
    stdout: silent,
    stderr: silent,
    env: {},
    cwd: "/",
    fetch: () => Promise.reject(new Error("a document needs no network")),
    now: () => 0,
    sleep: () => Promise.resolve(),
    signal: new AbortController().signal,
  },
  () => undefined,
);
writeFileSync(fileURLToPath(new URL("../../docs/cli.md", import.meta.url)), commandsDocument(program));
