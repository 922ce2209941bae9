import { open, rename, rm } from "node:fs/promises";
import { dirname } from "node:path";
import { PortolanError } from "../../src/core/errors.ts";

/** Makes the entries of a directory durable (new, renamed and removed files). */
export async function syncDirectory(path: string): Promise<void> {
  const handle = await open(path, "r");
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}

/** Writes a small file so that after a crash either the old or the whole new content is there. */
export async function writeDurably(path: string, content: string | Uint8Array): Promise<void> {
  const part = `${path}.part`;
  try {
    const handle = await open(part, "w", 0o600);
    try {
      await handle.writeFile(content);
      await handle.sync();
    } finally {
      await handle.close();
    }
    await rename(part, path);
  } catch (error) {
    await rm(part, { force: true });
    throw error;
  }
  await syncDirectory(dirname(path));
}

/** Whether a file operation failed because there is no room (disk or quota). */
export function isDiskFull(error: unknown): boolean {
  const code = error instanceof Error && "code" in error ? error.code : null;
  return code === "ENOSPC" || code === "EDQUOT";
}

/** The one message about a full disk. */
export function diskFullError(path: string, cause?: unknown): PortolanError {
  return new PortolanError("unavailable", `the disk that holds ${path} is full; free some space there, the scanner goes on by itself`, {
    cause,
  });
}
