import { SaxesParser, type SaxesTagPlain } from "saxes";
import { digits, takeEntry } from "./entry.ts";
import type { ImportParser } from "./importer.ts";
import { IMPORT_CHARS_MAX, type ImportSink } from "./tally.ts";

/** Output of nmap's scripts stands in attributes, so a tag may be long. */
const TAG_CHARS_MAX = 8 * IMPORT_CHARS_MAX;
const PIECE_CHARS = 16 * 1024;
const DEPTH_MAX = 64;

type Port = {
  readonly line: number;
  readonly protocol: string | undefined;
  readonly number: string | undefined;
  state: string | undefined;
};
type Host = { address: string | undefined; time: string | undefined; port: Port | null };

/**
 * Reads masscan's `-oX` and nmap's XML. Entities of a document type are not expanded, nothing outside is loaded. What follows an error of
 * the XML itself is not read: it is counted as one refusal. Memory: one tag of at most 1 MiB.
 */
export function xmlParser(sink: ImportSink, defaultAtS: number): ImportParser {
  const parser = new SaxesParser({ xmlns: false, position: true });
  const host: Host = { address: undefined, time: undefined, port: null };
  let isOver = false;
  let sinceEvent = 0;
  let depth = 0;
  let isEmpty = true;
  const stop = (reason: string): void => {
    if (!isOver) sink.refuse(parser.line, reason);
    isOver = true;
  };
  parser.on("error", () => stop("the XML is broken or was cut here"));
  parser.on("text", () => {
    sinceEvent = 0;
  });
  parser.on("opentag", (tag) => {
    sinceEvent = 0;
    depth += 1;
    if (depth > DEPTH_MAX) stop(`tags are nested more than ${DEPTH_MAX} deep`);
    if (!isOver) openTag(host, tag, parser.line);
  });
  parser.on("closetag", ({ name }) => {
    sinceEvent = 0;
    depth -= 1;
    if (name === "port" && host.port !== null && !isOver) {
      takePort(host, host.port, { sink, defaultAtS });
      host.port = null;
    }
  });
  // Half a character (a lone surrogate) at an end makes the library itself throw.
  const guarded = (step: () => void): void => {
    try {
      step();
    } catch {
      stop("the XML is broken or was cut here");
    }
  };
  return {
    push: (chunk) => {
      for (let at = 0; at < chunk.length && !isOver; at += PIECE_CHARS) {
        const piece = chunk.slice(at, at + PIECE_CHARS);
        isEmpty &&= piece.trim() === "";
        sinceEvent += piece.length;
        if (!isEmpty) guarded(() => void parser.write(piece));
        if (sinceEvent > TAG_CHARS_MAX) stop(`a tag is longer than ${TAG_CHARS_MAX} characters`);
      }
    },
    end: () => {
      // masscan leaves an empty file when it found nothing.
      if (!isOver && !isEmpty) guarded(() => void parser.close());
    },
  };
}

function openTag(host: Host, { name, attributes }: SaxesTagPlain, line: number): void {
  const of = (key: string): string | undefined => (Object.hasOwn(attributes, key) ? attributes[key] : undefined);
  switch (name) {
    case "host":
      host.address = undefined;
      host.time = of("endtime") ?? of("starttime");
      host.port = null;
      break;
    case "address":
      if (of("addrtype") !== "mac") host.address = of("addr");
      break;
    case "port":
      host.port = { line, protocol: of("protocol"), number: of("portid"), state: undefined };
      break;
    case "state":
      if (host.port !== null) host.port.state = of("state");
      break;
    default:
  }
}

function takePort(
  host: Host,
  { line, protocol, number, state }: Port,
  { sink, defaultAtS }: { sink: ImportSink; defaultAtS: number },
): void {
  // masscan writes a banner as a port of its own, with a service and no state.
  if (state === undefined) return sink.banner();
  return takeEntry({ address: host.address, time: host.time, protocol, port: digits(number), status: state }, { line, defaultAtS }, sink);
}
