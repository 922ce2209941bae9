import { readFileSync } from "node:fs";
import { InvalidArgumentError } from "commander";
import { PortolanError } from "../core/errors.ts";
import { formatPorts, parsePorts } from "../core/port.ts";
import { parseRange } from "../core/range.ts";
import { durationS } from "./text.ts";

/** At most this many characters, with an ellipsis for the rest. */
export function shorten(text: string, lengthMax: number): string {
  return text.length <= lengthMax ? text : `${text.slice(0, lengthMax - 1)}…`;
}

/** For options that may be repeated. */
export function collect(value: string, previous: readonly string[]): string[] {
  return [...previous, value];
}

/** Ranges, each checked; may be repeated and separated by commas. */
export function collectRanges(value: string, previous: readonly string[]): string[] {
  const ranges = value.split(",").map((range) => range.trim());
  for (const range of ranges) asArgument(() => parseRange(range));
  return [...previous, ...ranges];
}

/** `address:port`; may be repeated. */
export function collectCanary(value: string, previous: readonly { address: string; port: number }[]) {
  const match = /^(?:\[([^\]]+)\]|([^:]+)):(\d{1,5})$/.exec(value);
  const address = match?.[1] ?? match?.[2];
  if (address === undefined) throw new InvalidArgumentError("write it like 192.0.2.1:443 or [2001:db8::1]:443.");
  return [...previous, { address, port: Number(match?.[3]) }];
}

/** Ranges of a file, one a line; `#` begins a comment. Throws `invalid` when it cannot be read. */
export function readRanges(file: string): string[] {
  let text: string;
  try {
    text = readFileSync(file, "utf8");
  } catch (error) {
    throw new PortolanError(
      "invalid",
      `cannot read the ranges in ${file} (${(error as NodeJS.ErrnoException).code ?? "error"}); check the path`,
      { cause: error },
    );
  }
  return text
    .split(/\r?\n/)
    .map((line) => line.replace(/#.*$/, "").trim())
    .filter((line) => line !== "");
}

/** Ports in nmap and masscan spelling, made canonical. */
export function checkPorts(value: string): string {
  return asArgument(() => formatPorts(parsePorts(value)));
}

/** A duration, kept as it was typed. */
export function checkDuration(value: string): string {
  if (durationS(value) === null) throw new InvalidArgumentError("write it like 90s, 15m, 6h, 1d or 1h30m.");
  return value;
}

export function checkEngine(value: string): string {
  if (!["auto", "masscan", "connect"].includes(value)) throw new InvalidArgumentError("it is one of auto, masscan, connect.");
  return value;
}

export function wholeNumber(value: string): number {
  if (!/^\d{1,15}$/.test(value)) throw new InvalidArgumentError("it is a whole number.");
  return Number(value);
}

/** Words of the core for wrong input, as commander wants them. */
export function asArgument<T>(parse: () => T): T {
  try {
    return parse();
  } catch (error) {
    if (error instanceof PortolanError) throw new InvalidArgumentError(`${error.message}.`);
    throw error;
  }
}
