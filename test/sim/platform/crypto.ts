import { createHash, createPrivateKey, createPublicKey as makePublicKey, KeyObject } from "node:crypto";
import { simulation } from "../engine.ts";

export { createHash, createPrivateKey } from "node:crypto";

const PKCS8_HEAD = Buffer.from("302e020100300506032b657004220420", "hex");
const publicKeys = new WeakMap<KeyObject, KeyObject>();
const exported = new WeakMap<KeyObject, Buffer>();

/** `node:crypto`, out of the simulation's seed. */
export function randomBytes(count: number): Buffer {
  return Buffer.from(Array.from({ length: count }, () => simulation().random.below(256)));
}

export function generateKeyPairSync(_type: "ed25519"): { privateKey: KeyObject } {
  return { privateKey: createPrivateKey({ key: Buffer.concat([PKCS8_HEAD, randomBytes(32)]), format: "der", type: "pkcs8" }) };
}

export function createPublicKey(from: KeyObject | Parameters<typeof makePublicKey>[0]): KeyObject {
  if (!(from instanceof KeyObject)) return makePublicKey(from);
  const key = publicKeys.get(from) ?? makePublicKey(from);
  publicKeys.set(from, key);
  return key;
}

// Nobody forges here, and real signatures would take a tenth of the time: a keyed digest stands in for Ed25519.
export function sign(_algorithm: null, data: Buffer, key: KeyObject): Buffer {
  return digestOf(createPublicKey(key), data);
}

export function verify(_algorithm: null, data: Buffer, key: KeyObject, signature: Buffer): boolean {
  return digestOf(key, data).equals(signature);
}

function digestOf(publicKey: KeyObject, data: Buffer): Buffer {
  const bytes = exported.get(publicKey) ?? publicKey.export({ format: "der", type: "spki" });
  exported.set(publicKey, bytes);
  return createHash("sha512").update(bytes).update(data).digest();
}
