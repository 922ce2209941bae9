import { parseAddress } from "../address.ts";
import { takeEntry } from "./entry.ts";
import type { ImportParser } from "./importer.ts";
import { IMPORT_CHARS_MAX, type ImportSink } from "./tally.ts";

/** Old versions of masscan end their file with this, which is no JSON. */
const FINISHED = /^\{\s*"?finished"?\s*:\s*1\s*\}$/;
const PORTS_MAX = 65_536;

/** How the text begins: with an array, with an object, with nothing but white space so far, or with something else. */
export type JsonShape = "array" | "objects" | "empty" | "other";

type State = {
  depth: number;
  inString: boolean;
  escaped: boolean;
  /** The record that is being read, "" between records. */
  text: string;
  /** Line in which it began. */
  beganAt: number;
  /** Why it will be refused; null while it may be good. */
  broken: string | null;
  /** Longer than what is held of it. */
  isLong: boolean;
  /** Characters outside of records that belong to nothing. */
  inJunk: boolean;
  /** Last character of it that is no white space. */
  significant: string;
  line: number;
  atLineStart: boolean;
  shape: JsonShape;
  records: number;
};

/**
 * Reads masscan's `-oJ` and `-oD`: every object of the outermost level is a record, whatever stands between them. So arrays, one object a
 * line, missing brackets and commas, the trailer `{finished: 1}` and files that were cut are all read as far as they go. A record that
 * is broken ends at the end of its line. Memory: one record of at most 128 KiB.
 */
export function jsonParser(sink: ImportSink, defaultAtS: number): ImportParser & { shape(): JsonShape; records(): number } {
  const state: State = {
    depth: 0,
    inString: false,
    escaped: false,
    text: "",
    beganAt: 1,
    broken: null,
    isLong: false,
    inJunk: false,
    significant: "",
    line: 1,
    atLineStart: true,
    shape: "empty",
    records: 0,
  };
  const finish = (): void => {
    state.records += takeRecord(state, sink, defaultAtS);
    reset(state);
  };
  return {
    push: (chunk) => {
      let from = 0;
      for (let at = 0; at < chunk.length; at += 1) {
        const char = chunk[at] ?? "";
        if (state.depth > 0) {
          const ends = inside(state, char);
          if (ends !== "next") append(state, chunk.slice(from, ends === "here" ? at + 1 : at));
          if (ends !== "next") finish();
          // A record that began anew in the line that the broken one ran into.
          if (ends === "anew") between(state, char, sink);
          if (ends !== "next") from = ends === "here" ? at + 1 : at;
        } else {
          between(state, char, sink);
          if (state.depth > 0) from = at;
        }
        state.atLineStart = char === "\n" || (state.atLineStart && char === "\r");
        if (char === "\n") state.line += 1;
      }
      if (state.depth > 0) append(state, chunk.slice(from));
    },
    end: () => {
      if (state.depth === 0) return;
      state.broken ??= "the file was cut here";
      finish();
    },
    shape: () => state.shape,
    records: () => state.records,
  };
}

function reset(state: State): void {
  state.depth = 0;
  state.inString = false;
  state.escaped = false;
  state.text = "";
  state.broken = null;
  state.isLong = false;
  state.significant = "";
}

function append(state: State, text: string): void {
  if (state.text.length + text.length > IMPORT_CHARS_MAX) {
    state.broken ??= `longer than ${IMPORT_CHARS_MAX} characters`;
    state.text = "";
    state.isLong = true;
  }
  if (!state.isLong) state.text += text;
}

/** One character inside a record: the record goes on, ends with it, or broke off before it ("anew": another one begins here). */
function inside(state: State, char: string): "next" | "here" | "broken" | "anew" {
  if (char === "\n" && state.inString) return breakOff(state, "a text does not end in its line", "broken");
  if (state.inString) {
    if (state.escaped) state.escaped = false;
    else if (char === "\\") state.escaped = true;
    else if (char === '"') state.inString = false;
    return "next";
  }
  if (char === '"') state.inString = true;
  else if (char === "{" || char === "[") {
    // masscan begins each record in a line of its own: inside of another one that is the end of something that was cut.
    if (char === "{" && state.atLineStart && !/[[,:]/.test(state.significant)) return breakOff(state, "it was cut before its end", "anew");
    state.depth += 1;
  } else if (char === "}" || char === "]") {
    state.depth -= 1;
    if (state.depth === 0) return "here";
  }
  if (!isSpace(char)) state.significant = char;
  return "next";
}

function breakOff<T>(state: State, reason: string, how: T): T {
  state.broken = reason;
  return how;
}

/** One character between records. */
function between(state: State, char: string, sink: ImportSink): void {
  if (isSpace(char) || char === ",") {
    state.inJunk = false;
    return;
  }
  // A byte order mark is white space to some programs.
  if (char === "\uFEFF" && state.shape === "empty") return;
  if (state.shape === "empty") state.shape = char === "[" ? "array" : char === "{" ? "objects" : "other";
  if (char === "{") {
    state.inJunk = false;
    state.depth = 1;
    state.beganAt = state.line;
    state.significant = char;
    return;
  }
  if (char === "[" || char === "]") {
    state.inJunk = false;
    return;
  }
  if (!state.inJunk) sink.refuse(state.line, "no JSON object");
  state.inJunk = true;
}

function isSpace(char: string): boolean {
  return char === " " || char === "\n" || char === "\r" || char === "\t";
}

/** Gives how many records of the text are JSON objects: one, or what a broken one swallowed. */
function takeRecord({ text, broken, beganAt: line }: State, sink: ImportSink, defaultAtS: number): number {
  if (FINISHED.test(text)) return 1;
  const value = broken === null ? parseObject(text) : null;
  if (value !== null) {
    takeObject(value, { line, defaultAtS }, sink);
    return 1;
  }
  sink.refuse(line, broken ?? "no JSON");
  // A record that was cut takes what follows for its inside: masscan's own are whole in one line.
  let taken = 0;
  for (const [index, row] of text.split("\n").entries()) {
    const swallowed = index > 0 && row.startsWith("{") ? parseObject(row.trimEnd().replace(/,$/, "")) : null;
    if (swallowed === null) continue;
    takeObject(swallowed, { line: line + index, defaultAtS }, sink);
    taken += 1;
  }
  return taken;
}

function parseObject(text: string): Record<string, unknown> | null {
  try {
    const value: unknown = JSON.parse(text);
    return isRecord(value) ? value : null;
  } catch {
    return null;
  }
}

function takeObject(value: Record<string, unknown>, context: { line: number; defaultAtS: number }, sink: ImportSink): void {
  const { ip: address, timestamp: time } = value;
  if (value["rec_type"] === "banner") return sink.banner();
  if (value["rec_type"] === "status") {
    const data = isRecord(value["data"]) ? value["data"] : {};
    return takeEntry({ address, time, protocol: value["proto"], port: value["port"], status: data["status"] }, context, sink);
  }
  if (!isAddress(address)) return sink.refuse(context.line, "no address");
  const { ports } = value;
  if (!Array.isArray(ports)) return sink.refuse(context.line, "no ports");
  if (ports.length > PORTS_MAX) return sink.refuse(context.line, `more than ${PORTS_MAX} ports`);
  for (const port of ports as readonly unknown[]) {
    if (!isRecord(port)) sink.refuse(context.line, "a port is no object");
    else if (hasBanner(port)) sink.banner();
    else takeEntry({ address, time, protocol: port["proto"], port: port["port"], status: port["status"] }, context, sink);
  }
}

function isAddress(text: unknown): boolean {
  try {
    return typeof text === "string" && parseAddress(text) >= 0n;
  } catch {
    return false;
  }
}

function hasBanner({ service }: Record<string, unknown>): boolean {
  return isRecord(service) && service["name"] !== undefined && service["name"] !== "";
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
