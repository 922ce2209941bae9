import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { formatAddress } from "../../src/core/address.ts";
import { masscanArgv, masscanRunFiles, type MasscanTask } from "../../src/core/masscan/argv.ts";
import { parseMasscanLine } from "../../src/core/masscan/lines.ts";
import { parseNotice } from "../../src/core/masscan/progress.ts";
import type { ScannerPlace } from "../../src/local/lab/playground.ts";

/** What one bare masscan run found and how it ended. */
export type BareRun = {
  /** Open pairs as `address TAB port`. */
  readonly found: ReadonlySet<string>;
  readonly refusedLines: number;
  readonly exitCode: number | null;
  readonly errorLines: readonly string[];
};

/** Runs masscan with the project's own files and arguments, from a private directory, without the scanner daemon around it. */
export async function runBare(place: ScannerPlace, task: MasscanTask, timeoutMs = 60_000): Promise<BareRun> {
  const folder = await mkdtemp(join(tmpdir(), "portolan-bare-"));
  try {
    const rangesFile = join(folder, "ranges");
    await writeFile(rangesFile, masscanRunFiles(task).ranges);
    const argv = masscanArgv(task, { rangesFile, adapter: place.adapter ?? {} });
    const [program = "", ...args] = [...place.launcher, "masscan", ...argv];
    const child = spawn(program, args, { cwd: folder, stdio: ["ignore", "pipe", "pipe"], timeout: timeoutMs, killSignal: "SIGKILL" });
    const output: Buffer[] = [];
    const notices: Buffer[] = [];
    child.stdout.on("data", (chunk: Buffer) => output.push(chunk));
    child.stderr.on("data", (chunk: Buffer) => notices.push(chunk));
    const [exitCode] = (await once(child, "close")) as [number | null];
    const lines = Buffer.concat(output).toString().split("\n").map(parseMasscanLine);
    const found = lines.flatMap((line) =>
      line.kind === "sighting" ? [`${formatAddress(line.sighting.address)}\t${line.sighting.port}`] : [],
    );
    const pieces = Buffer.concat(notices)
      .toString()
      .split(/[\r\n]/);
    return {
      found: new Set(found),
      refusedLines: lines.filter((line) => line.kind === "refused").length,
      exitCode,
      errorLines: pieces.filter((piece) => parseNotice(piece).kind === "error"),
    };
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}
