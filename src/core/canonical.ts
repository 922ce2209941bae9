import { PortolanError } from "./errors.ts";

/** Deeper than any message: ends a cycle with a clear error. */
const DEPTH_MAX = 32;

/**
 * The one JSON text of a value: keys sorted by code unit, no spaces, so that equal values have equal hashes everywhere.
 * Takes null, booleans, strings, finite numbers, arrays and plain objects; throws `invalid`, naming the path, for anything else.
 */
export function canonicalJson(value: unknown): string {
  return write(value, "$", 0);
}

function write(value: unknown, path: string, depth: number): string {
  if (depth > DEPTH_MAX) throw new PortolanError("invalid", `${path.slice(0, 200)} is nested deeper than ${DEPTH_MAX} levels`);
  if (value === null || typeof value === "boolean" || typeof value === "string") return JSON.stringify(value);
  if (typeof value === "number" && Number.isFinite(value)) return JSON.stringify(value);
  if (Array.isArray(value)) {
    const items: string[] = [];
    for (let i = 0; i < value.length; i += 1) items.push(write(value[i], `${path}[${i}]`, depth + 1));
    return `[${items.join(",")}]`;
  }
  if (isPlainObject(value)) {
    const members = Object.keys(value).sort();
    return `{${members.map((key) => `${JSON.stringify(key)}:${write(value[key], `${path}.${key}`, depth + 1)}`).join(",")}}`;
  }
  const what = typeof value === "number" ? String(value) : typeof value;
  throw new PortolanError("invalid", `${path.slice(0, 200)} is ${what}, which JSON cannot carry; leave it out or use null`);
}

function isPlainObject(value: unknown): value is Record<string, unknown> {
  if (typeof value !== "object" || value === null) return false;
  const prototype: unknown = Object.getPrototypeOf(value);
  return prototype === Object.prototype || prototype === null;
}
