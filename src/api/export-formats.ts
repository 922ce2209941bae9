import { stringify } from "csv-stringify/browser/esm/sync";
import { html } from "hono/html";
import { PortolanError } from "../core/errors.ts";
import { serviceName } from "../core/service-names.ts";
import type { LabelledService } from "./labels.ts";

export const EXPORT_FORMATS = ["json", "ndjson", "csv", "txt", "nmap.xml", "masscan.json"] as const;
export type ExportFormat = (typeof EXPORT_FORMATS)[number];

/** Media types, as they stand in the answer and in the API's description. */
export const EXPORT_TYPES: Readonly<Record<ExportFormat, string>> = {
  json: "application/json",
  ndjson: "application/x-ndjson",
  csv: "text/csv",
  txt: "text/plain",
  "nmap.xml": "application/xml",
  "masscan.json": "application/json",
};

/** Writes a file piece by piece: `head` once, `rows` for each page in the order of addresses, `end` once. It remembers where it stands. */
export type Encoder = {
  head(): string;
  rows(services: readonly LabelledService[]): string;
  end(): string;
};

/** About the file as a whole. */
export type ExportFacts = {
  readonly nowMs: number;
  /** Canonical text of the filter. */ readonly filter: string;
  readonly version: string;
};

/** Formats that tell labels: the others need not ask for them. */
export function tellsLabels(format: ExportFormat): boolean {
  return format === "json" || format === "ndjson" || format === "csv";
}

export function encoderOf(format: ExportFormat, facts: ExportFacts): Encoder {
  switch (format) {
    case "json":
      return jsonEncoder();
    case "ndjson":
      return { head: () => "", rows: (services) => services.map((service) => `${JSON.stringify(service)}\n`).join(""), end: () => "" };
    case "csv":
      return { head: () => csvText([CSV_COLUMNS]), rows: (services) => csvText(services.map(csvRow)), end: () => "" };
    case "txt":
      return lineEncoder();
    case "nmap.xml":
      return nmapEncoder(facts);
    case "masscan.json":
      return masscanEncoder();
  }
}

/** One document of the same shape as a page of the list. */
function jsonEncoder(): Encoder {
  let isFirst = true;
  return {
    head: () => '{"items":[',
    rows: (services) => {
      if (services.length === 0) return "";
      const text = `${isFirst ? "\n" : ",\n"}${services.map((service) => JSON.stringify(service)).join(",\n")}`;
      isFirst = false;
      return text;
    },
    end: () => '\n],"next_cursor":null}\n',
  };
}

const CSV_COLUMNS = [
  "address",
  "protocol",
  "port",
  "state",
  "known",
  "reopened",
  "tainted",
  "labels",
  "seen_by",
  "first_seen",
  "last_seen",
  "changed_at",
  "covered_at",
];

function csvRow(service: LabelledService): string[] {
  const time = (timeMs: number | null): string => (timeMs === null ? "" : new Date(timeMs).toISOString());
  return [
    service.address,
    service.protocol,
    String(service.port),
    service.state,
    String(service.known),
    String(service.reopened),
    String(service.tainted),
    service.labels.join(" "),
    service.seenBy.join(" "),
    time(service.firstSeenMs),
    time(service.lastSeenMs),
    time(service.changedAtMs),
    time(service.coveredAtMs),
  ];
}

/** Cells that a spreadsheet would run as a formula get an apostrophe in front. */
function csvText(rows: readonly string[][]): string {
  return rows.length === 0 ? "" : stringify([...rows], { escape_formulas: true });
}

/** `address:port`, each once, whatever the protocol. */
function lineEncoder(): Encoder {
  let last = "";
  return {
    head: () => "",
    rows: (services) => {
      let text = "";
      for (const { address, port } of services) {
        const line = address.includes(":") ? `[${address}]:${port}\n` : `${address}:${port}\n`;
        if (line !== last) text += line;
        last = line;
      }
      return text;
    },
    end: () => "",
  };
}

const XML = '<?xml version="1.0" encoding="UTF-8"?>\n<!DOCTYPE nmaprun>\n';

/** As nmap's DTD wants it. A missing service still counts as open, and its reason says what it is. */
function nmapEncoder({ nowMs, filter, version }: ExportFacts): Encoder {
  const nowS = Math.floor(nowMs / 1_000);
  let hosts = 0;
  let open: string | null = null;
  const close = (): string => (open === null ? "" : "</ports></host>\n");
  return {
    head: () =>
      `${XML}${xml`<nmaprun scanner="nmap" args="${`portolan export --format nmap.xml ${filter}`.trimEnd()}" start="${nowS}" version="portolan ${version}" xmloutputversion="1.05">`}\n` +
      '<verbose level="0"/>\n<debugging level="0"/>\n',
    rows: (services) => {
      let text = "";
      for (const service of services) {
        if (service.address !== open) {
          text += close() + hostText(service.address);
          open = service.address;
          hosts += 1;
        }
        text += portText(service);
      }
      return text;
    },
    end: () =>
      `${close()}<runstats>${xml`<finished time="${nowS}" elapsed="0" exit="success"/><hosts up="${hosts}" down="0" total="${hosts}"/>`}</runstats>\n</nmaprun>\n`,
  };
}

function hostText(address: string): string {
  const type = address.includes(":") ? "ipv6" : "ipv4";
  return xml`<host><status state="up" reason="user-set" reason_ttl="0"/><address addr="${address}" addrtype="${type}"/><ports>`;
}

function portText({ protocol, port, state }: LabelledService): string {
  const name = serviceName(protocol, port);
  const service = name === null ? "" : xml`<service name="${name}" method="table" conf="3"/>`;
  const [shown, reason] = state === "closed" ? ["closed", "missed"] : ["open", state === "open" ? "seen" : "missing"];
  return `${xml`<port protocol="${protocol}" portid="${port}"><state state="${shown}" reason="${reason}" reason_ttl="0"/>`}${service}</port>`;
}

/** Text with every value escaped. */
function xml(strings: TemplateStringsArray, ...values: readonly (string | number)[]): string {
  const text = html(strings, ...values);
  if (text instanceof Promise) throw new PortolanError("internal", "a value of an export is not there yet");
  return text.toString();
}

/** As `masscan -oJ` writes: one object a line, its time as text, the commas on lines of their own. Without any, a list all the same. */
function masscanEncoder(): Encoder {
  let isFirst = true;
  return {
    head: () => "[\n",
    rows: (services) => {
      let text = "";
      for (const { address, protocol, port, state, lastSeenMs } of services) {
        const status = state === "closed" ? "closed" : "open";
        const one = { port, proto: protocol, status, reason: state === "open" ? "seen" : state, ttl: 0 };
        const line = { ip: address, timestamp: String(Math.floor(lastSeenMs / 1_000)), ports: [one] };
        text += `${isFirst ? "" : ",\n"}${JSON.stringify(line)}\n`;
        isFirst = false;
      }
      return text;
    },
    end: () => "]\n",
  };
}
