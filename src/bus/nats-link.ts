import { readFileSync } from "node:fs";
import { checkServerIdentity, type PeerCertificate } from "node:tls";
import { JetStreamApiError } from "@nats-io/jetstream";
import { connect, nkeyAuthenticator, type NatsConnection } from "nats";
import { PortolanError } from "../core/errors.ts";
import type { Bus } from "./bus.ts";
import { inboxPrefix } from "./names.ts";

/** How to reach a region's NATS server. */
export type NatsOptions = {
  /** `nats://host:port` or `tls://host:port`. */
  readonly url: string;
  /** Name of this client: its replies go to its own inbox subjects. A scanner uses its scanner name. */
  readonly client: string;
  /** nkey seed; without it the server has to let anybody in (tests). */
  readonly seed?: string;
  /** Certificate authority of the server, a PEM file, or its text. With either, or a `tls://` address, a server without TLS is refused. */
  readonly caFile?: string;
  readonly ca?: string;
  /** Receives what a person should know: connection lost, connection back, refused rights. */
  readonly onStatus?: (text: string) => void;
};

/** Time-out of calls to the server itself. */
export const CALL_TIMEOUT_MS = 3_000;
const NOT_FOUND = 404;

/** A connection with what is known of it. */
export type Link = {
  readonly connection: NatsConnection;
  readonly state: { connected: boolean };
  /** Throws `unavailable` while there is none. */ online(): void;
};

/** Connects, and follows the connection's news from then on. Throws `unavailable` when the first connection cannot be made within 3 s. */
export async function openLink(options: NatsOptions): Promise<Link> {
  const connection = await open(options);
  const state = { connected: true };
  void watch(connection, state, options.onStatus ?? (() => undefined));
  const online = (): void => {
    if (!state.connected) throw new PortolanError("unavailable", `NATS at ${options.url} is not reachable at the moment`);
  };
  return { connection, state, online };
}

async function open(options: NatsOptions): Promise<NatsConnection> {
  try {
    return await connect({
      servers: options.url,
      name: options.client,
      inboxPrefix: inboxPrefix(options.client),
      // A dead peer is noticed after 10 s; the defaults (2 min, 20 s) slow healing.
      pingInterval: 5_000,
      maxPingOut: 2,
      timeout: CALL_TIMEOUT_MS,
      maxReconnectAttempts: -1,
      reconnectTimeWait: 250,
      reconnectJitter: 250,
      reconnectJitterTLS: 250,
      ignoreClusterUpdates: true,
      // Without these a first refusal of rights or of the key would end the client for good.
      ignoreAuthErrorAbort: true,
      ...(options.seed === undefined ? {} : { authenticator: nkeyAuthenticator(Buffer.from(options.seed, "utf8")) }),
      ...tlsOf(options),
    });
  } catch (error) {
    throw new PortolanError(
      "unavailable",
      `cannot connect to NATS at ${options.url}: ${text(error)}; is the server running, and does it know this key?`,
      {
        cause: error,
      },
    );
  }
}

/** What the client asks of the server's certificate; nothing for an address without TLS and without an authority. */
function tlsOf({ url, ca, caFile }: NatsOptions): { tls?: Record<string, unknown> } {
  const authority = ca ?? (caFile === undefined ? undefined : readFileSync(caFile, "utf8"));
  if (authority === undefined && !url.startsWith("tls:")) return {};
  const host = new URL(url).hostname.replace(/^\[|\]$/g, "");
  return {
    tls: {
      ...(authority === undefined ? {} : { ca: authority }),
      // The library passes no name on for a numeric address, and Node would then look for "localhost" in the certificate.
      checkServerIdentity: (_: string, certificate: PeerCertificate) => checkServerIdentity(host, certificate),
    },
  };
}

/** Follows the connection's own news until it is closed; never throws. */
async function watch(connection: NatsConnection, state: { connected: boolean }, tell: (text: string) => void): Promise<void> {
  for await (const status of connection.status()) {
    if (status.type === "disconnect" || status.type === "staleConnection") {
      if (state.connected) tell("the connection to NATS is lost; trying again");
      state.connected = false;
    } else if (status.type === "reconnect") {
      state.connected = true;
      tell("the connection to NATS is back");
    } else if (status.type === "error") {
      tell(`NATS refused something: ${text(status.error)}`);
    }
  }
  state.connected = false;
}

/** The last two calls of a client. */
export function ending({ connection, state }: Link): Pick<Bus, "connected" | "close"> {
  return {
    connected: () => state.connected && !connection.isClosed(),
    close: async () => {
      if (connection.isClosed()) return;
      const inTime = new Promise((resolve) => setTimeout(resolve, CALL_TIMEOUT_MS).unref());
      // Draining waits for ever while the server is away.
      if (state.connected) await Promise.race([connection.drain().catch(() => undefined), inTime]);
      await connection.close();
    },
  };
}

/** Whatever the server or the client says becomes `unavailable`. */
export async function guard<T>(what: string, call: () => Promise<T>): Promise<T> {
  try {
    return await call();
  } catch (error) {
    if (error instanceof PortolanError) throw error;
    throw new PortolanError("unavailable", `NATS: ${what} failed: ${text(error)}`, { cause: error });
  }
}

/** Whether the server says that it has no such stream or consumer. */
export function isNotFound(error: unknown): boolean {
  return error instanceof JetStreamApiError && error.status === NOT_FOUND;
}

function text(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
