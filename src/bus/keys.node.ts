import { createHash, createPrivateKey, createPublicKey, generateKeyPairSync, sign, verify, type KeyObject } from "node:crypto";
import { PortolanError } from "../core/errors.ts";

// nkeys (https://docs.nats.io/running-a-nats-service/nats_admin/security/jwt#nkeys) are Ed25519 keys in base32 with a
// prefix and a CRC-16. Signing goes through node:crypto because the nkeys package takes 6 to 8 ms for each verification.
const ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
const USER_PREFIX = 20 << 3;
const SEED_PREFIX = 18 << 3;
const PKCS8_HEAD = Buffer.from("302e020100300506032b657004220420", "hex");
const SPKI_HEAD = Buffer.from("302a300506032b6570032100", "hex");
const KEYS_CACHED_MAX = 1_000;

const publicKeys = new Map<string, KeyObject>();
const privateKeys = new Map<string, KeyObject>();

/** A fresh seed of a user key (`SU…`): secret, keep it in a file that only its owner reads. */
export function newSeed(): string {
  const { privateKey } = generateKeyPairSync("ed25519");
  const raw = privateKey.export({ format: "der", type: "pkcs8" }).subarray(PKCS8_HEAD.length);
  const head = Buffer.from([SEED_PREFIX | (USER_PREFIX >> 5), (USER_PREFIX & 31) << 3]);
  return encode(Buffer.concat([head, raw]));
}

/** Public key (`U…`) that belongs to a seed; throws `PortolanError("invalid")` when the text is no seed of a user key. */
export function publicKeyOf(seed: string): string {
  const raw = createPublicKey(privateKeyOf(seed)).export({ format: "der", type: "spki" }).subarray(SPKI_HEAD.length);
  return encode(Buffer.concat([Buffer.from([USER_PREFIX]), raw]));
}

/** Ed25519 signature of the UTF-8 text, base64url without padding (86 characters). */
export function signText(seed: string, text: string): string {
  return sign(null, Buffer.from(text, "utf8"), privateKeyOf(seed)).toString("base64url");
}

/** Whether `signature` (base64url) is the key's signature of the UTF-8 text; false for garbage, never throws. */
export function verifyText(publicKey: string, text: string, signature: string): boolean {
  if (!/^[A-Za-z0-9_-]{86}$/.test(signature)) return false;
  try {
    return verify(null, Buffer.from(text, "utf8"), publicKeyObject(publicKey), Buffer.from(signature, "base64url"));
  } catch {
    return false;
  }
}

/** SHA-256 as 64 lower-case hex digits; text is taken as UTF-8. */
export function sha256Hex(data: string | Uint8Array): string {
  return createHash("sha256").update(data).digest("hex");
}

function privateKeyOf(seed: string): KeyObject {
  const cached = privateKeys.get(seed);
  if (cached) return cached;
  const bytes = decode(seed.trim());
  const prefix = bytes === null ? -1 : (((bytes[0] ?? 0) & 7) << 5) | ((bytes[1] ?? 0) >> 3);
  if (bytes === null || bytes.length !== 34 || ((bytes[0] ?? 0) & 0xf8) !== SEED_PREFIX || prefix !== USER_PREFIX) {
    throw new PortolanError("invalid", "the key seed is no nkey user seed; it has to be 58 characters and begin with SU");
  }
  const key = createPrivateKey({ key: Buffer.concat([PKCS8_HEAD, bytes.subarray(2)]), format: "der", type: "pkcs8" });
  remember(privateKeys, seed, key);
  return key;
}

function publicKeyObject(publicKey: string): KeyObject {
  const cached = publicKeys.get(publicKey);
  if (cached) return cached;
  const bytes = decode(publicKey);
  if (bytes === null || bytes.length !== 33 || bytes[0] !== USER_PREFIX)
    throw new PortolanError("invalid", `"${publicKey}" is no nkey user public key`);
  const key = createPublicKey({ key: Buffer.concat([SPKI_HEAD, bytes.subarray(1)]), format: "der", type: "spki" });
  remember(publicKeys, publicKey, key);
  return key;
}

function remember(cache: Map<string, KeyObject>, name: string, key: KeyObject): void {
  if (cache.size >= KEYS_CACHED_MAX) cache.clear();
  cache.set(name, key);
}

/** Base32 without padding of the bytes and their CRC. */
function encode(bytes: Buffer): string {
  const sum = Buffer.alloc(2);
  sum.writeUInt16LE(crc16(bytes));
  let text = "";
  let bits = 0;
  let held = 0;
  for (const byte of Buffer.concat([bytes, sum])) {
    held = (held << 8) | byte;
    bits += 8;
    while (bits >= 5) {
      bits -= 5;
      text += ALPHABET.charAt((held >> bits) & 31);
    }
    held &= (1 << bits) - 1;
  }
  return bits > 0 ? text + ALPHABET.charAt((held << (5 - bits)) & 31) : text;
}

/** The bytes without their CRC, or null when a character or the CRC is wrong. */
function decode(text: string): Buffer | null {
  if (text.length > 100) return null;
  const bytes: number[] = [];
  let bits = 0;
  let held = 0;
  for (const character of text) {
    const value = ALPHABET.indexOf(character);
    if (value < 0) return null;
    held = (held << 5) | value;
    bits += 5;
    if (bits >= 8) {
      bits -= 8;
      bytes.push((held >> bits) & 255);
    }
    held &= (1 << bits) - 1;
  }
  const all = Buffer.from(bytes);
  if (all.length < 3 || held !== 0) return null;
  const body = all.subarray(0, -2);
  return all.readUInt16LE(all.length - 2) === crc16(body) ? body : null;
}

/** CRC-16/XMODEM: polynomial 0x1021, start 0. */
function crc16(bytes: Uint8Array): number {
  let crc = 0;
  for (const byte of bytes) {
    crc ^= byte << 8;
    for (let bit = 0; bit < 8; bit += 1) crc = crc & 0x8000 ? ((crc << 1) ^ 0x1021) & 0xffff : (crc << 1) & 0xffff;
  }
  return crc;
}
