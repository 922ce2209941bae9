import { open, type FileHandle } from "node:fs/promises";
import { addressFromHex, addressToHex } from "../../src/core/address.ts";
import type { Sighting } from "../../src/core/columns.ts";
import { PortolanError } from "../../src/core/errors.ts";
import { SIGHTINGS_PER_PART_MAX } from "../../src/core/messages/report.ts";
import { protocolNumber, protocolOf } from "../../src/core/port.ts";
import { diskFullError, isDiskFull } from "./durable.ts";

/** Where one part's sightings lie in the spool file; part k is the k-th element. */
export type SpoolPart = { readonly offset: number; readonly bytes: number; readonly lines: number };

/** Text that may wait in memory before it is written and synced. */
const PENDING_CHARS_MAX = 64 * 1024;
const READ_BYTES = 256 * 1024;
const SIGHTING_LINE = /^s ([0-9a-f]{32}) (6|17|132) (\d{1,5}) (\d{1,10})$/;
const SEAL_LINE = /^p (\d{1,5})$/;

/**
 * Sightings of one run on disk: lines `s <address> <protocol> <port> <seconds>`, and `p <count>` where a part ends. The
 * seal is synced before a part is sent, so that after any crash each part has the same content, and thus the same id.
 */
export type Spool = {
  /** Adds one sighting; written and synced by `flush`, at the latest after 64 KiB. Throws when the disk is full. */
  add(sighting: Sighting): Promise<void>;
  /** Makes everything added durable. Throws `PortolanError("unavailable")` when the disk is full. */
  flush(): Promise<void>;
  /** Ends the open part, if it holds anything, and makes it durable. After a failed write: keeps what reached the disk before it. */
  seal(): Promise<void>;
  /** Parts that are sealed and durable. */
  parts(): readonly SpoolPart[];
  /** Sightings of one part, in the order of their coming. */
  readPart(index: number): Promise<Sighting[]>;
  /** Bytes on disk. */
  bytes(): number;
  close(): Promise<void>;
};

/**
 * Opens a spool file, or creates it. What a crash left is repaired: everything from the first line on that is not whole is cut
 * off, and the sightings after the last seal become parts.
 */
export async function openSpool(path: string): Promise<Spool> {
  const handle = await open(path, "a+", 0o600);
  try {
    const found = await scan(handle);
    await handle.truncate(found.goodBytes);
    const spool = createSpool(path, handle, found);
    if (found.openLines > 0) await spool.seal();
    return spool;
  } catch (error) {
    await handle.close();
    throw isDiskFull(error) ? diskFullError(path, error) : error;
  }
}

type Found = { parts: SpoolPart[]; goodBytes: number; openOffset: number; openLines: number };

type Batch = { text: string; readonly seals: SpoolPart[] };

type State = {
  readonly path: string;
  readonly handle: FileHandle;
  /** What is on disk, synced. */
  durable: Found;
  /** The open part and the end of the file as they will be once everything pending is written. */
  open: { offset: number; lines: number };
  nextOffset: number;
  pending: Batch;
  /** Ends when all writes so far have ended, well or not. */
  chain: Promise<void>;
  failure: Error | null;
};

function createSpool(path: string, handle: FileHandle, found: Found): Spool {
  const state: State = {
    path,
    handle,
    durable: found,
    open: { offset: found.openOffset, lines: found.openLines },
    nextOffset: found.goodBytes,
    pending: { text: "", seals: [] },
    chain: Promise.resolve(),
    failure: null,
  };
  return {
    add: async (sighting) => {
      if (state.failure !== null) throw state.failure;
      append(state, sightingLine(sighting));
      state.open.lines += 1;
      if (state.open.lines >= SIGHTINGS_PER_PART_MAX) sealOpen(state);
      if (state.pending.text.length >= PENDING_CHARS_MAX) await flush(state);
    },
    flush: () => flush(state),
    seal: async () => {
      await state.chain;
      if (state.failure !== null) await recover(state);
      if (state.open.lines > 0) sealOpen(state);
      await flush(state);
    },
    parts: () => state.durable.parts,
    readPart: async (index) => readPart(handle, state.durable.parts[index], index),
    bytes: () => state.durable.goodBytes,
    close: async () => {
      await state.chain;
      await handle.close();
    },
  };
}

function append(state: State, line: string): void {
  state.pending.text += line;
  state.nextOffset += line.length;
}

function sealOpen(state: State): void {
  const { offset, lines } = state.open;
  state.pending.seals.push({ offset, bytes: state.nextOffset - offset, lines });
  append(state, `p ${lines}\n`);
  state.open = { offset: state.nextOffset, lines: 0 };
}

function flush(state: State): Promise<void> {
  const batch = state.pending;
  state.pending = { text: "", seals: [] };
  const next = state.chain.then(() => writeBatch(state, batch));
  state.chain = next.catch(() => {});
  return next;
}

async function writeBatch(state: State, { text, seals }: Batch): Promise<void> {
  if (state.failure !== null) throw state.failure;
  if (text === "") return;
  const { durable, handle, path } = state;
  try {
    await handle.appendFile(text, "latin1");
    await handle.datasync();
  } catch (error) {
    // What was cut short is taken back, so that the last line on disk is whole; this works on a full disk.
    await handle.truncate(durable.goodBytes).catch(() => {});
    state.failure = isDiskFull(error)
      ? diskFullError(path, error)
      : new PortolanError("internal", `cannot write ${path}`, { cause: error });
    throw state.failure;
  }
  durable.goodBytes += text.length;
  durable.parts.push(...seals);
}

/** After a failed write: goes on with what reached the disk before it. */
async function recover(state: State): Promise<void> {
  state.durable = await scan(state.handle);
  const { goodBytes, openOffset, openLines } = state.durable;
  await state.handle.truncate(goodBytes);
  state.open = { offset: openOffset, lines: openLines };
  state.nextOffset = goodBytes;
  state.pending = { text: "", seals: [] };
  state.failure = null;
}

function sightingLine({ address, protocol, port, observedAtS }: Sighting): string {
  return `s ${addressToHex(address)} ${protocolNumber(protocol)} ${port} ${observedAtS}\n`;
}

async function readPart(handle: FileHandle, part: SpoolPart | undefined, index: number): Promise<Sighting[]> {
  if (part === undefined) throw new PortolanError("internal", `part ${index} is not in the spool`);
  const { bytesRead, buffer } = await handle.read(Buffer.alloc(part.bytes), 0, part.bytes, part.offset);
  const sightings = buffer.toString("latin1", 0, bytesRead).split("\n").slice(0, -1).map(parseSighting);
  if (sightings.length !== part.lines) throw new PortolanError("internal", `part ${index} of the spool changed under us; check the disk`);
  return sightings;
}

function parseSighting(line: string): Sighting {
  const [, hex, protocol, port, seconds] = SIGHTING_LINE.exec(line) ?? [];
  if (hex === undefined) throw new PortolanError("internal", "a line of the spool changed under us; check the disk");
  return { address: addressFromHex(hex), protocol: protocolOf(Number(protocol)), port: Number(port), observedAtS: Number(seconds) };
}

/** Reads the whole file in bounded pieces and finds parts, the open part, and where whole lines end. */
async function scan(handle: FileHandle): Promise<Found> {
  const found: Found = { parts: [], goodBytes: 0, openOffset: 0, openLines: 0 };
  const buffer = Buffer.alloc(READ_BYTES);
  let rest = "";
  for (let position = 0; ;) {
    const { bytesRead } = await handle.read(buffer, 0, READ_BYTES, position);
    if (bytesRead === 0) return found;
    position += bytesRead;
    const lines = (rest + buffer.toString("latin1", 0, bytesRead)).split("\n");
    rest = lines.pop() ?? "";
    for (const line of lines) if (!takeLine(found, line)) return found;
    if (rest.length > 200) return found;
  }
}

/** Counts one whole line; false when it is none of ours, and so nothing after it can be trusted. */
function takeLine(found: Found, line: string): boolean {
  const seal = SEAL_LINE.exec(line);
  if (seal !== null) {
    if (Number(seal[1]) !== found.openLines || found.openLines === 0) return false;
    found.parts.push({ offset: found.openOffset, bytes: found.goodBytes - found.openOffset, lines: found.openLines });
    found.goodBytes += line.length + 1;
    found.openOffset = found.goodBytes;
    found.openLines = 0;
    return true;
  }
  if (!SIGHTING_LINE.test(line) || found.openLines >= SIGHTINGS_PER_PART_MAX) return false;
  found.goodBytes += line.length + 1;
  found.openLines += 1;
  return true;
}
