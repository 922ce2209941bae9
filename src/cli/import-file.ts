import { spawn } from "node:child_process";
import { createReadStream, openSync, readSync, closeSync, statSync } from "node:fs";
import { PortolanError } from "../core/errors.ts";
import { sniffFormat, type ImportFormat } from "../core/import/importer.ts";

/** A file to import: its format, the time of entries that tell none (Unix seconds), and its text. */
export type ImportFile = { readonly format: ImportFormat; readonly atS: number; readonly text: AsyncIterable<string> };

const HEAD_BYTES = 4_096;

/**
 * Opens a file. masscan's binary files are converted by masscan itself, which only reads the file then and sends nothing.
 * Throws `invalid` when it cannot be read; the text throws `invalid` when masscan refuses it.
 */
export function openImport(file: string, wanted: ImportFormat | "binary" | null): ImportFile {
  const { head, atS } = look(file);
  const format = wanted ?? sniffFormat(head);
  if (format === "binary") return { format: "list", atS, text: converted(file) };
  return { format, atS, text: createReadStream(file, { encoding: "utf8", highWaterMark: 256 * 1024 }) };
}

/** The beginning of a file, and when it was written. */
function look(file: string): { head: string; atS: number } {
  try {
    const descriptor = openSync(file, "r");
    try {
      const bytes = Buffer.alloc(HEAD_BYTES);
      const length = readSync(descriptor, bytes, 0, HEAD_BYTES, 0);
      return { head: bytes.toString("utf8", 0, length), atS: Math.floor(statSync(file).mtimeMs / 1_000) };
    } finally {
      closeSync(descriptor);
    }
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code ?? "error";
    throw new PortolanError("invalid", `cannot read ${file} (${code}); check the path`, { cause: error });
  }
}

async function* converted(file: string): AsyncGenerator<string> {
  // An empty configuration: what stands in /etc/masscan must not turn reading into scanning.
  const child = spawn("masscan", ["-c", "/dev/null", "--readscan", file, "-oL", "-"], { stdio: ["ignore", "pipe", "pipe"] });
  let said = "";
  child.stderr.on("data", (bytes: Buffer) => (said = (said + bytes.toString("utf8")).slice(-2_000)));
  const ended = new Promise<string | null>((resolve) => {
    child.once("error", (error: NodeJS.ErrnoException) =>
      resolve(
        error.code === "ENOENT"
          ? 'masscan is not installed here; convert the file elsewhere with "masscan --readscan FILE -oL -"'
          : error.message,
      ),
    );
    child.once("close", (code) => resolve(code === 0 ? null : `masscan ended with ${String(code)}: ${said.trim().slice(-300)}`));
  });
  try {
    child.stdout.setEncoding("utf8");
    for await (const text of child.stdout) yield String(text);
    const problem = await ended;
    if (problem !== null) throw new PortolanError("invalid", `${file} cannot be converted: ${problem}`);
  } finally {
    child.kill();
  }
}
