import { appendFileSync, renameSync, statSync } from "node:fs";

const LOG_BYTES_MAX = 8 * 1024 * 1024;
const CHECK_EVERY_BYTES = 64 * 1024;

/** Appends to a log file that is set aside as `FILE.1` when it reaches 8 MiB, so that logs take at most 16 MiB. Never throws. */
export function openLog(file: string): (chunk: string) => void {
  let sinceCheck = CHECK_EVERY_BYTES;
  return (chunk) => {
    try {
      sinceCheck += chunk.length;
      if (sinceCheck >= CHECK_EVERY_BYTES) {
        sinceCheck = 0;
        rotate(file);
      }
      appendFileSync(file, chunk, { mode: 0o600 });
    } catch {
      // A full disk must not end the supervisor; the children say so themselves.
    }
  };
}

function rotate(file: string): void {
  const size = statSync(file, { throwIfNoEntry: false })?.size ?? 0;
  if (size > LOG_BYTES_MAX) renameSync(file, `${file}.1`);
}
