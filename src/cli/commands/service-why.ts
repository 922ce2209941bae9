import { PortolanError } from "../../core/errors.ts";
import { explain, type Explanation } from "../../web/explain.ts";
import { formatUtc, plural, shortId } from "../../web/format.ts";
import type { ScannerSeen } from "../../web/vantage.ts";
import { allRows, bodyOf } from "../client.ts";
import type { Context } from "../context.ts";
import { EXIT } from "../io.ts";

/** What follows the help of `portolan service why`. */
export const WHY_EXAMPLES = `
Examples:
  portolan service why 192.0.2.10 443              tcp when nothing is said
  portolan service why 192.0.2.53 53/udp
  portolan service why 192.0.2.10 443 --json > certificate.json
  portolan certificate check certificate.json      follow the rules without this ledger`;

/** Explains a verdict; as JSON it is the certificate. */
export async function showWhy(context: Context, address: string, portText: string): Promise<number> {
  const match = /^(\d{1,5})(?:\/(tcp|udp|sctp))?$/.exec(portText);
  if (match === null) throw new PortolanError("invalid", `"${portText}" is no port; write it like 443, 443/tcp or 53/udp`);
  const param = { address, protocol: protocolOf(match[2]), port: match[1] ?? "" };
  const certificate = await bodyOf(context.api().v1.services[":address"][":protocol"][":port"].why.$get({ param }));
  const { service } = certificate;
  const scanners = certificate.verdict === "missing" && context.output.format === "table" ? await scannersOf(context) : [];
  context.output.one(certificate, [`${service.address} ${service.port}/${service.protocol}`, ...linesOf(explain(certificate, scanners))]);
  context.output.note(`The whole evidence: portolan service why ${service.address} ${service.port}/${service.protocol} --json`);
  return EXIT.ok;
}

/** Who is heard where; nobody when that cannot be told: the verdict is worth showing without it. */
async function scannersOf(context: Context): Promise<readonly ScannerSeen[]> {
  const { scanners } = context.api().v1;
  return allRows((cursor) => bodyOf(scanners.$get({ query: cursor === undefined ? {} : { cursor } }))).catch(() => []);
}

function protocolOf(text: string | undefined): "tcp" | "udp" | "sctp" {
  return text === "udp" || text === "sctp" ? text : "tcp";
}

function linesOf({ verdict, rules, sightings, misses, confirms }: Explanation): string[] {
  return [
    verdict,
    ...rules,
    "",
    "Last seen open",
    ...sightings.map(({ atMs, by, region, how, job }) => {
      const where = job === null ? "" : ` of job ${shortId(job)}`;
      return `  ${formatUtc(atMs)}  ${by} (${region}), by ${how}${where}`;
    }),
    ...(misses.length === 0 ? [] : ["", "Missed by"]),
    ...misses.map(({ job, plan, tile, completeAtMs, scanners, releasedBy }) => {
      const when = completeAtMs === null ? "" : `${formatUtc(completeAtMs)}  `;
      const released = releasedBy === null ? "" : `; held by the brake, released by ${releasedBy}`;
      return `  ${when}job ${shortId(job)} of ${plan}, tile ${tile}, scanned whole by ${scanners.join(", ")}${released}`;
    }),
    ...(confirms.length === 0 ? [] : ["", "Confirmed by"]),
    ...confirms.map(
      ({ scanner, region, basis, answer, connects, atMs }) =>
        `  ${formatUtc(atMs)}  ${scanner} (${region}): ${answer} in ${plural(connects, "try", "tries")}, ${basis === "sighter" ? "the last one to have seen it" : "as one of two"}`,
    ),
  ];
}
