import { z } from "zod";
import { formatAddress } from "../core/address.ts";
import type { Sighting } from "../core/columns.ts";
import { PortolanError } from "../core/errors.ts";
import { apiAccess, explainRefusal, explainSilence } from "./client.ts";
import type { Context } from "./context.ts";

/** Three records of the ledger, so that each answer comes when they are committed. */
const LINES_PER_REQUEST = 50_000;
const TRIES_MAX = 5;
const RETRY_AFTER_MS = 2_000;
/** Longer than the API waits for its keeper. */
const ANSWER_WITHIN_MS = 60_000;

const answerSchema = z.object({ state: z.enum(["done", "waiting", "failed"]), sightings: z.int() });

/** Where sightings go. `region` names the one that takes them; without it the nearest does. */
export type Target = { readonly source: string; readonly region?: string | undefined };

/** Sends sightings in batches; equal ones in equal order are the same records however often they are sent. */
export type Sender = {
  add(sighting: Sighting): void;
  /** Sends full batches. */ flush(): Promise<void>;
  /** Sends the rest. */ finish(): Promise<void>;
};

/** Hands sightings to the API as lines of masscan's list format. */
export function createSender(context: Context, target: Target): Sender {
  const full: string[][] = [];
  let filling: string[] = [];
  const flush = async (): Promise<void> => {
    for (let lines = full.shift(); lines !== undefined; lines = full.shift()) await sendLines(context, lines, target);
  };
  return {
    add: ({ address, protocol, port, observedAtS }) => {
      filling.push(`open ${protocol} ${port} ${formatAddress(address)} ${observedAtS}`);
      if (filling.length < LINES_PER_REQUEST) return;
      full.push(filling);
      filling = [];
    },
    flush,
    finish: async () => {
      await flush();
      if (filling.length > 0) await sendLines(context, filling, target);
      filling = [];
    },
  };
}

async function sendLines(context: Context, lines: readonly string[], { source, region }: Target): Promise<void> {
  const query = new URLSearchParams({ format: "list", source });
  const headers = { "content-type": "application/octet-stream", ...regionHeader(region) };
  const response = await request(context, `/v1/imports?${query}`, { method: "POST", headers, body: `${lines.join("\n")}\n` });
  const answer = answerSchema.safeParse(await response.json().catch(() => null));
  if (!answer.success || answer.data.sightings !== lines.length)
    throw new PortolanError("invalid", "the sightings were not answered by Portolan's API; check the address (--url)");
}

/** Pins a request to a region. */
export function regionHeader(region: string | undefined): Record<string, string> {
  return region === undefined ? {} : { "x-portolan-region": region };
}

/** One request whose repetition does no harm: repeated a few times while a part of the region is away. Throws its refusal. */
export async function request(
  { io, settings }: Context,
  path: string,
  init: { method: string; headers?: Record<string, string>; body: BodyInit },
): Promise<Response> {
  const { base, token } = apiAccess(settings());
  const headers = { ...init.headers, authorization: `Bearer ${token}`, "user-agent": "portolan-cli" };
  for (let attempt = 1; ; attempt += 1) {
    const timeout = AbortSignal.timeout(ANSWER_WITHIN_MS);
    let response: Response;
    try {
      response = await io.fetch(new Request(`${base}${path}`, { ...init, headers, signal: AbortSignal.any([timeout, io.signal]) }));
    } catch (error) {
      throw explainSilence(error, { base, isInterrupted: io.signal.aborted, isLate: timeout.aborted });
    }
    if (response.ok) return response;
    if (response.status !== 503 || attempt >= TRIES_MAX) throw await explainRefusal(response, `${init.method} ${path}`);
    await response.arrayBuffer();
    await io.sleep(RETRY_AFTER_MS);
  }
}
