import type { Sighting } from "../columns.ts";
import { jsonParser } from "./json.ts";
import { listParser, plainParser } from "./lines.ts";
import { createTally, type ImportCounts } from "./tally.ts";
import { xmlParser } from "./xml.ts";

/**
 * What can be read: `json` masscan's -oJ (also its broken variants), `ndjson` -oD, `list` -oL, `xml` -oX and nmap's XML, `lines` address:port.
 * (-oB is turned into one of them by masscan itself.)
 */
export const IMPORT_FORMATS = ["json", "ndjson", "list", "xml", "lines"] as const;
export type ImportFormat = (typeof IMPORT_FORMATS)[number];

/** Reads a text piece by piece; neither call throws, whatever the text is. */
export type ImportParser = {
  push(chunk: string): void;
  /** There is no more. */
  end(): void;
};

export type ImportOptions = {
  readonly format: ImportFormat;
  /** Unix seconds for entries that tell no time. */
  readonly defaultAtS: number;
  readonly onSighting: (sighting: Sighting) => void;
};

/** A parser for one import, and what it has counted so far. */
export type Importer = ImportParser & { counts(): ImportCounts };

/** Makes the parser of one import. */
export function createImporter({ format, defaultAtS, onSighting }: ImportOptions): Importer {
  const tally = createTally(onSighting);
  return { ...parserOf(format)(tally, defaultAtS), counts: tally.counts };
}

function parserOf(format: ImportFormat): (sink: ReturnType<typeof createTally>, defaultAtS: number) => ImportParser {
  switch (format) {
    case "json":
    case "ndjson":
      return jsonParser;
    case "list":
      return listParser;
    case "xml":
      return xmlParser;
    case "lines":
      return plainParser;
  }
}

/** The format of a file by its first characters; `binary` is masscan's -oB, which masscan has to convert. */
export function sniffFormat(beginning: string): ImportFormat | "binary" {
  const text = beginning.replace(/^\uFEFF/, "").trimStart();
  if (beginning.startsWith("masscan/1.")) return "binary";
  if (text.startsWith("<")) return "xml";
  if (text.startsWith("{") && /^[^\n]*"rec_type"/.test(text)) return "ndjson";
  if (text.startsWith("{") || /^\[\s*(?:\{|\]|$)/.test(text)) return "json";
  if (/^(?:#masscan|(?:open|closed|banner) )/.test(text)) return "list";
  return "lines";
}
