import { customType, integer, text } from "drizzle-orm/sqlite-core";

/** Bytes in every runtime: libSQL answers with an ArrayBuffer, drizzle's own blob column with Node's Buffer. */
const bytes = customType<{ data: Uint8Array; driverData: ArrayBuffer | Uint8Array }>({
  dataType: () => "blob",
  fromDriver: (value) => (value instanceof Uint8Array ? value : new Uint8Array(value)),
});

export const blobColumn = (name: string) => bytes(name).notNull();
export const intColumn = (name: string) => integer(name).notNull();
export const textColumn = (name: string) => text(name).notNull();
export const optionalBlob = (name: string) => bytes(name);
