import { simulation } from "../engine.ts";
import type { Disk } from "../disk.ts";

// Only asked about programs of the source tree.
export { existsSync } from "node:fs";

export function mkdirSync(path: string): void {
  diskNow().makeDirectory(path, true);
}

export function readFileSync(path: string, _encoding: "utf8"): string {
  return diskNow().read(path).toString("utf8");
}

export function renameSync(from: string, to: string): void {
  diskNow().rename(from, to);
}

export function writeFileSync(path: string, text: string, options: { readonly flush?: boolean } = {}): void {
  const file = diskNow().open(path, "w");
  file.append(Buffer.from(text, "utf8"));
  if (options.flush === true) file.sync();
}

/** Calls without a promise happen at once; those of a dead process do not happen. */
function diskNow(): Disk {
  const owner = simulation().owner();
  if (!owner.alive) throw new Error("the process is dead");
  return owner.disk;
}
