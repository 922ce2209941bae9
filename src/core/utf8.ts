import { PortolanError } from "./errors.ts";

/** UTF-8 bytes of a text without lone surrogates (JSON escapes those); throws `invalid` when it has one. */
export function encodeUtf8(text: string): Uint8Array {
  // A UTF-16 unit takes at most three bytes: a pair of them takes four.
  const bytes = new Uint8Array(text.length * 3);
  let length = 0;
  for (let i = 0; i < text.length; i += 1) {
    const code = text.codePointAt(i) ?? 0;
    if (code < 0x80) {
      bytes[length++] = code;
      continue;
    }
    if (code < 0x800) {
      bytes[length++] = 0xc0 | (code >> 6);
    } else {
      if (code >= 0xd800 && code <= 0xdfff)
        throw new PortolanError("invalid", `text has a lone surrogate at ${i}; it cannot be written as UTF-8`);
      if (code < 0x10000) {
        bytes[length++] = 0xe0 | (code >> 12);
      } else {
        bytes[length++] = 0xf0 | (code >> 18);
        bytes[length++] = 0x80 | ((code >> 12) & 63);
        i += 1;
      }
      bytes[length++] = 0x80 | ((code >> 6) & 63);
    }
    bytes[length++] = 0x80 | (code & 63);
  }
  return bytes.slice(0, length);
}

/** Text of UTF-8 bytes; throws `invalid` for anything that `encodeUtf8` cannot have written. */
export function decodeUtf8(bytes: Uint8Array): string {
  let text = "";
  let units: number[] = [];
  for (let i = 0; i < bytes.length;) {
    const lead = bytes[i] ?? 0;
    const size = lead < 0x80 ? 1 : lead < 0xc2 ? 0 : lead < 0xe0 ? 2 : lead < 0xf0 ? 3 : lead < 0xf5 ? 4 : 0;
    let code = size === 1 ? lead : lead & (0x7f >> size);
    for (let k = 1; k < size; k += 1) {
      const byte = bytes[i + k] ?? 0;
      if ((byte & 0xc0) !== 0x80) throw badUtf8(i);
      code = (code << 6) | (byte & 63);
    }
    const overlong = (size === 3 && code < 0x800) || (size === 4 && code < 0x10000);
    if (size === 0 || overlong || code > 0x10ffff || (code >= 0xd800 && code <= 0xdfff)) throw badUtf8(i);
    if (code < 0x10000) units.push(code);
    else units.push(0xd800 + ((code - 0x10000) >> 10), 0xdc00 + (code & 0x3ff));
    i += size;
    if (units.length >= 8_192) {
      text += String.fromCharCode(...units);
      units = [];
    }
  }
  return text + String.fromCharCode(...units);
}

function badUtf8(offset: number): PortolanError {
  return new PortolanError("invalid", `byte ${offset} is not valid UTF-8; the sender has to encode its text as UTF-8`);
}
