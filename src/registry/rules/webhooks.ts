import { eq } from "drizzle-orm";
import { PortolanError } from "../../core/errors.ts";
import { build } from "../query.ts";
import { webhook as table } from "../schema.ts";
import type { RegistryState, Webhook, WebhookEvent, WebhookSecret } from "../types.ts";
import { type Change, LIMITS, checkLimit, checkName, clip, notFound, unchanged } from "./change.ts";

/** A webhook as a person asks for it. */
export type WebhookInput = {
  readonly name: string;
  readonly url: string;
  readonly events: readonly WebhookEvent[];
  readonly enabled?: boolean;
};

/** What a person changes of a webhook; what is left out stays. */
export type WebhookChanges = Partial<Omit<WebhookInput, "name">>;

/** So long the former secret signs too after a new one was made. */
const SECRET_OVERLAP_MS = 24 * 3_600_000;

const LIST = "portolan webhook ls";

type Fresh = { readonly nowMs: number; readonly secret: string; readonly allowLoopback: boolean };

/** Creates a webhook with its first secret. Repeating it is a `conflict`: the secret could not be shown again. */
export function addWebhook(state: RegistryState, input: WebhookInput, { nowMs, secret, allowLoopback }: Fresh): Change<Webhook> {
  checkName("webhook", input.name);
  if (state.webhooks.some((webhook) => webhook.name === input.name)) {
    throw new PortolanError("conflict", `webhook "${input.name}" already exists; change it, or choose another name`);
  }
  checkLimit("webhooks", state.webhooks.length + 1, LIMITS.webhooks);
  const value: Webhook = {
    name: input.name,
    url: checkUrl(input.url, allowLoopback),
    events: checkEvents(input.name, input.events),
    enabled: input.enabled ?? true,
    secrets: [{ secret, createdAtMs: nowMs, expiresAtMs: null }],
    createdAtMs: nowMs,
  };
  return { value, statements: [build.insert(table).values(value)] };
}

/** Changes some of it. */
export function changeWebhook(
  state: RegistryState,
  input: { readonly name: string; readonly changes: WebhookChanges; readonly allowLoopback: boolean },
): Change<Webhook> {
  const existing = find(state, input.name);
  const { url = existing.url, events = existing.events, enabled = existing.enabled } = input.changes;
  const value: Webhook = {
    ...existing,
    url: url === existing.url ? url : checkUrl(url, input.allowLoopback),
    events: checkEvents(existing.name, events),
    enabled,
  };
  return store(existing, value);
}

/** A new secret; the one before signs for another day, so that the receiver can change over. Older ones end at once. */
export function rotateSecret(
  state: RegistryState,
  input: { readonly name: string; readonly secret: string; readonly nowMs: number },
): Change<Webhook> {
  const existing = find(state, input.name);
  const fresh: WebhookSecret = { secret: input.secret, createdAtMs: input.nowMs, expiresAtMs: null };
  const former = existing.secrets.slice(0, 1).map((held) => ({ ...held, expiresAtMs: input.nowMs + SECRET_OVERLAP_MS }));
  return store(existing, { ...existing, secrets: [fresh, ...former] });
}

/** Throws `not-found`. */
export function deleteWebhook(state: RegistryState, name: string): Change<null> {
  find(state, name);
  return { value: null, statements: [build.delete(table).where(eq(table.name, name))] };
}

function find(state: RegistryState, name: string): Webhook {
  const webhook = state.webhooks.find((candidate) => candidate.name === name);
  if (webhook === undefined) throw notFound("webhook", name, LIST);
  return webhook;
}

function store(existing: Webhook, value: Webhook): Change<Webhook> {
  if (JSON.stringify(existing) === JSON.stringify(value)) return unchanged(existing);
  return { value, statements: [build.update(table).set(value).where(eq(table.name, value.name))] };
}

function checkEvents(name: string, events: readonly WebhookEvent[]): WebhookEvent[] {
  if (events.length === 0) throw new PortolanError("invalid", `webhook "${name}" is told of nothing; name at least one event`);
  return [...new Set(events)].toSorted();
}

const LOOPBACK = /^(localhost|127(\.\d{1,3}){3}|\[::1\])$/;

/** News of open ports leave encrypted; only a lab may send them to its own machine in clear. */
function checkUrl(text: string, allowLoopback: boolean): string {
  const url = URL.canParse(text) ? new URL(text) : null;
  if (url === null || text.length > 1_000 || (url.protocol !== "https:" && url.protocol !== "http:")) {
    throw new PortolanError("invalid", `"${clip(text)}" is no URL to send to; write it like https://example.org/hooks/portolan`);
  }
  if (url.username !== "" || url.password !== "" || url.hash !== "") {
    throw new PortolanError("invalid", `the URL of a webhook carries no password and no fragment; the signature says who sends`);
  }
  const isLoopback = LOOPBACK.test(url.hostname);
  if (isLoopback && allowLoopback) return url.href;
  if (isLoopback) throw new PortolanError("invalid", `"${url.hostname}" is this machine itself; a webhook goes there in a lab only`);
  if (url.protocol !== "https:") throw new PortolanError("invalid", `"${clip(text)}" is not encrypted; use https`);
  return url.href;
}
