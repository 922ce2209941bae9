import { simulation } from "../engine.ts";
import type { OpenFile } from "../disk.ts";

/** What the scanner uses of Node's file handles. */
export type FileHandle = Awaited<ReturnType<typeof open>>;

export async function open(path: string, flags = "r", _mode?: number) {
  const file = await onDisk(`open ${path}`, () => simulation().owner().disk.open(path, flags));
  return handleOf(path, file);
}

function handleOf(path: string, file: OpenFile) {
  const sync = (): Promise<void> => onDisk(`sync ${path}`, () => file.sync(), [0.1, 5]);
  return {
    stat: () => onDisk(`stat ${path}`, () => ({ size: file.size() })),
    appendFile: (text: string, encoding: BufferEncoding = "utf8") =>
      onDisk(`append ${path}`, () => file.append(Buffer.from(text, encoding), simulation().random)),
    writeFile: (content: string | Uint8Array) =>
      onDisk(`write ${path}`, () => file.append(Buffer.from(content as Uint8Array), simulation().random)),
    truncate: (size: number) => onDisk(`truncate ${path}`, () => file.truncate(size)),
    read: (buffer: Buffer, offset: number, length: number, position: number) =>
      onDisk(`read ${path}`, () => ({ bytesRead: file.content().copy(buffer, offset, position, position + length), buffer })),
    sync,
    datasync: sync,
    close: () => onDisk(`close ${path}`, () => undefined),
  };
}

export function mkdir(path: string, options: { readonly recursive?: boolean; readonly mode?: number } = {}): Promise<void> {
  return onDisk(`mkdir ${path}`, () =>
    simulation()
      .owner()
      .disk.makeDirectory(path, options.recursive === true),
  );
}

export function readdir(path: string): Promise<string[]> {
  return onDisk(`readdir ${path}`, () => simulation().owner().disk.list(path));
}

export function readFile(path: string, _encoding: "utf8"): Promise<string> {
  return onDisk(`readFile ${path}`, () => simulation().owner().disk.read(path).toString("utf8"));
}

export async function writeFile(path: string, content: string, _options?: { readonly mode?: number }): Promise<void> {
  await onDisk(`writeFile ${path}`, () => simulation().owner().disk.open(path, "w").append(Buffer.from(content), simulation().random));
}

export function rename(from: string, to: string): Promise<void> {
  return onDisk(`rename ${to}`, () => simulation().owner().disk.rename(from, to));
}

export function rm(path: string, _options?: { readonly recursive?: boolean; readonly force?: boolean }): Promise<void> {
  return onDisk(`rm ${path}`, () => simulation().owner().disk.remove(path));
}

export function stat(path: string): Promise<{ size: number }> {
  return onDisk(`stat ${path}`, () => ({ size: simulation().owner().disk.read(path).length }));
}

export function statfs(_path: string): Promise<{ bavail: number; bsize: number }> {
  return onDisk("statfs", () => ({ bavail: simulation().owner().disk.full ? 0 : 1_000_000, bsize: 4_096 }));
}

export function readlink(_path: string): Promise<string> {
  return onDisk("readlink", () => "net:[1]");
}

function onDisk<T>(label: string, effect: () => T, latency?: readonly [number, number]): Promise<T> {
  return simulation().step(label, effect, latency);
}
