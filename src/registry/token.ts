import { PortolanError } from "../core/errors.ts";

/** The parts of a token's text that are not secret, with the hash under which it is stored. */
export type ParsedToken = { readonly id: string; readonly hash: string };

const FORM = /^ptl_([a-z]{1,12})_([0-9a-f]{8})_([0-9a-f]{64})_([0-9a-f]{8})$/;

/** Makes the text of a new token, `ptl_api_<id>_<secret>_<crc>`, from 36 random bytes: 4 for the id, 32 for the secret. */
export function tokenText(random: Uint8Array): string {
  if (random.length !== 36) throw new PortolanError("internal", `a token needs 36 random bytes, not ${random.length}`);
  const body = `ptl_api_${hex(random.subarray(0, 4))}_${hex(random.subarray(4))}`;
  return `${body}_${crc32(body)}`;
}

/** The id and hash of a token; null for anything mistyped (its checksum tells), so that no database is asked. */
export async function parseToken(text: string): Promise<ParsedToken | null> {
  const match = FORM.exec(text);
  const [, , id, , crc] = match ?? [];
  if (id === undefined || crc !== crc32(text.slice(0, -9))) return null;
  return { id, hash: await sha256Hex(text) };
}

/** Lower-case hex of the SHA-256 of UTF-8 text. */
export async function sha256Hex(text: string): Promise<string> {
  return hex(new Uint8Array(await crypto.subtle.digest("SHA-256", new TextEncoder().encode(text))));
}

/** Whether two texts are equal, in a time that depends on their length only. */
export function equalConstantTime(a: string, b: string): boolean {
  if (a.length !== b.length) return false;
  let difference = 0;
  for (let index = 0; index < a.length; index++) difference |= a.charCodeAt(index) ^ b.charCodeAt(index);
  return difference === 0;
}

function hex(bytes: Uint8Array): string {
  return [...bytes].map((byte) => byte.toString(16).padStart(2, "0")).join("");
}

/** CRC-32 (IEEE 802.3) of ASCII text, 8 hex digits: tells a typing error from a wrong token. */
function crc32(text: string): string {
  let crc = 0xffff_ffff;
  for (let index = 0; index < text.length; index++) {
    crc ^= text.charCodeAt(index);
    for (let bit = 0; bit < 8; bit++) crc = crc & 1 ? (crc >>> 1) ^ 0xedb8_8320 : crc >>> 1;
  }
  return ((crc ^ 0xffff_ffff) >>> 0).toString(16).padStart(8, "0");
}
