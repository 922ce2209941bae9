import { connect } from "node:net";
import type { NatsConnection } from "nats";
import { z } from "zod";
import { type DaemonConfig, readKeySeed } from "../../../scanner-daemon/config.ts";
import { openLink } from "../../bus/nats-link.ts";
import { isLoopback } from "../../bus/server-config.ts";
import { resultsStream, shardsDurable, shardsStream } from "../../bus/names.ts";
import { fail, type Finding, judgeClock, ok, warn } from "./finding.ts";

const TIMEOUT_MS = 5_000;
const INFO_CHARS_MAX = 64 * 1024;
const DEFAULT_PORT = 4222;
const NO_RESPONDERS = 503;
const infoSchema = z.object({ version: z.string(), tls_required: z.boolean().optional(), jetstream: z.boolean().optional() });
/** JetStream answers carry the server's time since 2.10. */
const apiSchema = z.object({
  ts: z.string().optional(),
  error: z.object({ code: z.number(), description: z.string().optional() }).optional(),
});

/** Whether a message server greets at this address, and how it wants to be spoken to. Logs in nowhere. Never throws. */
export async function checkGreeting(url: string): Promise<Finding> {
  const remedy = "start nats-server there, or correct the address and the firewalls on the way";
  if (!URL.canParse(url))
    return fail("nats", `"${url}" is no address of a message server`, "correct it with: portolan region set NAME --nats URL");
  const { hostname, port } = new URL(url);
  const host = hostname.replace(/^\[|\]$/g, "");
  try {
    const info = infoSchema.parse(JSON.parse(await readInfo(host, port === "" ? DEFAULT_PORT : Number(port))));
    const detail = `nats-server ${info.version} greets at ${url}`;
    if (info.jetstream !== true) return fail("nats", `${detail}, but has no JetStream`, "start it with Portolan's own configuration");
    if (info.tls_required === true) return ok("nats", `${detail} and asks for TLS`);
    if (isLoopback(host)) return ok("nats", `${detail} (no TLS, on loopback)`);
    return warn(
      "nats",
      `${detail} without TLS: whoever is on the way reads what scanners report`,
      "give it a certificate: docs/install.md",
    );
  } catch (error) {
    return fail("nats", `no message server greets at ${url}: ${error instanceof Error ? error.message : String(error)}`, remedy);
  }
}

/** Logs in as the daemon of this configuration would, and asks for what its role may ask. Changes and claims nothing. Never throws. */
export async function checkRights(config: DaemonConfig): Promise<Finding[]> {
  const name = config.scanner?.name ?? `KEEPER_${config.keeper?.name ?? ""}`;
  const refusals: string[] = [];
  const { url, caFile, ca } = config.nats;
  try {
    const { connection } = await openLink({
      url,
      client: config.roles.includes("keeper") ? `KEEPER_${config.keeper?.name ?? ""}` : name,
      seed: readKeySeed(config),
      onStatus: (text) => refusals.push(text),
      ...(caFile === undefined ? {} : { caFile }),
      ...(ca === undefined ? {} : { ca }),
    });
    try {
      return [ok("nats login", `the key of ${name} is known`), ...(await askRights(connection, config))];
    } finally {
      await connection.close();
    }
  } catch (error) {
    const remedy =
      "check that the server runs, that its certificate is of nats.caFile, and that the registry knows this key (portolan scanner ls)";
    return [fail("nats login", error instanceof Error ? error.message : String(error), remedy)];
  }
}

async function askRights(connection: NatsConnection, { region, roles, scanner }: DaemonConfig): Promise<Finding[]> {
  const asked = [
    `$JS.API.STREAM.INFO.${shardsStream(region)}`,
    ...(roles.includes("keeper") ? [`$JS.API.STREAM.INFO.${resultsStream(region)}`] : []),
    ...(scanner === undefined ? [] : [`$JS.API.CONSUMER.INFO.${shardsStream(region)}.${shardsDurable(scanner.name)}`]),
  ];
  const findings: Finding[] = [];
  let clock: Finding | null = null;
  for (const subject of asked) {
    const [sentAtMs, startedAtMs] = [Date.now(), performance.now()];
    try {
      const reply = await connection.request(subject, undefined, { timeout: TIMEOUT_MS });
      const tookMs = performance.now() - startedAtMs;
      const { ts, error } = apiSchema.parse(reply.json());
      if (error !== undefined) {
        const text = `${subject}: ${error.description ?? error.code}`;
        findings.push(
          warn("nats rights", text, "start the region's keeper: it makes the queues, and one for each scanner that it has heard of"),
        );
      }
      const offsetMs = ts === undefined ? Number.NaN : Date.parse(ts) - (sentAtMs + tookMs / 2);
      if (!Number.isNaN(offsetMs)) clock = judgeClock("clock (NATS)", { whose: "NATS", offsetMs, uncertainMs: tookMs / 2 + 50 });
    } catch (error) {
      const status = (error as { status?: number }).status === NO_RESPONDERS ? "JetStream does not answer" : "no right, or no answer";
      const remedy = `let the server read its users anew (SIGHUP); ${roles.join(" and ")} of region "${region}" should have that right`;
      findings.push(fail("nats rights", `${subject}: ${status} (${error instanceof Error ? error.message : String(error)})`, remedy));
    }
  }
  if (findings.length === 0) findings.push(ok("nats rights", `${asked.length} of ${asked.length} questions of its role are answered`));
  return clock === null ? findings : [...findings, clock];
}

function readInfo(host: string, port: number): Promise<string> {
  return new Promise((resolve, reject) => {
    const socket = connect({ host, port });
    let text = "";
    const end = (finish: () => void): void => {
      socket.destroy();
      finish();
    };
    socket.setTimeout(TIMEOUT_MS, () => end(() => reject(new Error(`silence for ${TIMEOUT_MS / 1_000} s`))));
    socket.setEncoding("utf8").on("data", (chunk: string) => {
      text += chunk;
      const line = /^INFO (\{.*\})\s*\r\n/.exec(text)?.[1];
      if (line !== undefined) end(() => resolve(line));
      else if (text.length > INFO_CHARS_MAX || !"INFO ".startsWith(text.slice(0, 5)))
        end(() => reject(new Error("something else listens there")));
    });
    socket.once("error", (error: NodeJS.ErrnoException) =>
      end(() => reject(new Error(error.code === "ECONNREFUSED" ? "nothing listens there" : error.message, { cause: error }))),
    );
    socket.once("close", () => reject(new Error("it hung up")));
  });
}
