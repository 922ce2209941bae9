import { digits, takeEntry } from "./entry.ts";
import type { ImportParser } from "./importer.ts";
import { IMPORT_CHARS_MAX, type ImportSink } from "./tally.ts";

type TakeLine = (line: string, number: number) => void;

/** Splits text into lines; what is longer than 128 KiB is refused as a whole, and never held. */
function lineParser(sink: ImportSink, take: TakeLine): ImportParser {
  let rest = "";
  let isLong = false;
  let number = 1;
  const finish = (): void => {
    if (isLong) sink.refuse(number, `longer than ${IMPORT_CHARS_MAX} characters`);
    else take(rest.endsWith("\r") ? rest.slice(0, -1) : rest, number);
    rest = "";
    isLong = false;
    number += 1;
  };
  const append = (text: string): void => {
    if (isLong || rest.length + text.length > IMPORT_CHARS_MAX) {
      isLong = true;
      rest = "";
    } else rest += text;
  };
  return {
    push: (chunk) => {
      let from = 0;
      for (let at = chunk.indexOf("\n"); at !== -1; at = chunk.indexOf("\n", from)) {
        append(chunk.slice(from, at));
        finish();
        from = at + 1;
      }
      append(chunk.slice(from));
    },
    end: () => {
      if (isLong || rest !== "") finish();
    },
  };
}

/** masscan's `-oL`: `open tcp 22 192.0.2.1 1700000000`, comments begin with `#`. */
export function listParser(sink: ImportSink, defaultAtS: number): ImportParser {
  return lineParser(sink, (text, line) => {
    if (text.trim() === "" || text.startsWith("#")) return;
    const [status, protocol, port, address, time, ...rest] = text.trim().split(" ");
    if (status === "banner") return sink.banner();
    if ((status !== "open" && status !== "closed") || rest.length > 0) return sink.refuse(line, "no line of masscan's list format");
    return takeEntry({ status, protocol, port: digits(port), address, time }, { line, defaultAtS }, sink);
  });
}

const PLAIN = /^(?:\[([0-9A-Fa-f:.]+)\]|([0-9.]+)|([0-9A-Fa-f:.]+))(?:[:\s,]\s*)(\d{1,5})(?:[/\s,]\s*(tcp|udp|sctp))?$/i;

/** `192.0.2.1:443`, `[2001:db8::1]:443`, both also with `/udp` after them, or address and port with a space between; `#` begins a comment. */
export function plainParser(sink: ImportSink, defaultAtS: number): ImportParser {
  return lineParser(sink, (text, line) => {
    const entry = text.replace(/#.*$/, "").trim();
    if (entry === "") return;
    const [, bracketed, ipv4, ipv6, port, protocol] = (entry.length <= 100 ? PLAIN.exec(entry) : null) ?? [];
    const isAmbiguous = ipv6 !== undefined && !/\s/.test(entry);
    if (port === undefined || isAmbiguous) {
      return sink.refuse(line, isAmbiguous ? "write an IPv6 address in brackets: [2001:db8::1]:443" : "neither address:port nor a comment");
    }
    const address = bracketed ?? ipv4 ?? ipv6;
    return takeEntry(
      { status: "open", protocol: protocol?.toLowerCase() ?? "tcp", port: digits(port), address, time: undefined },
      { line, defaultAtS },
      sink,
    );
  });
}
