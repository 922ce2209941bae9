import { z } from "zod";
import { PortolanError } from "../../core/errors.ts";
import { VERSION } from "../../core/version.ts";
import type { Context } from "../context.ts";
import { fail, type Finding, judgeClock, ok, warn } from "./finding.ts";

const TIMEOUT_MS = 5_000;
/** A `Date` header knows whole seconds only. */
const DATE_STEP_MS = 1_000;
const START = 'start Portolan there ("npm start"), or correct the address (--url)';

const versionSchema = z.object({ name: z.literal("portolan"), version: z.string(), region: z.string() });
const partSchema = z.object({ ok: z.boolean(), problem: z.string().nullable() });
const readySchema = z.object({
  registry: partSchema,
  ledger: partSchema.extend({ durability: z.enum(["strong", "weak", "unknown"]) }),
});
const regionsSchema = z.object({
  items: z.array(z.object({ name: z.string(), natsUrl: z.string().nullable(), answering: z.boolean() })),
});

/** What the API told on the way; `natsUrl` is where its region's message server is. */
export type ApiSeen = { readonly findings: readonly Finding[]; readonly natsUrl: string | null };

/** Settings, API, token, both stores, durability, and the clock of whoever answers. Never throws. */
export async function checkApi(context: Context): Promise<ApiSeen> {
  let settings;
  try {
    settings = context.settings();
  } catch (error) {
    return { findings: [fail("settings", text(error), 'look at them with "portolan config check"')], natsUrl: null };
  }
  const { url, token } = settings;
  if (url === null) {
    const remedy = 'run this in the folder where "npm start" runs, or give --url, PORTOLAN_URL or url = "…" in portolan.toml';
    return { findings: [fail("settings", "no address of an API is known", remedy)], natsUrl: null };
  }
  const settingsFinding = ok("settings", `API at ${url.value} (${url.origin}), token ${token === null ? "none" : `from ${token.origin}`}`);
  const answer = await ask(context, { url: `${url.value}/version` });
  if (answer.problem !== null) return { findings: [settingsFinding, fail("api", answer.problem, START)], natsUrl: null };
  const about = versionSchema.safeParse(answer.body);
  if (!about.success) return { findings: [settingsFinding, fail("api", `${url.value} answers, but is no Portolan`, START)], natsUrl: null };
  const stores = await checkStores(context, url.value);
  const who = await checkToken(context, { url: url.value, token: token?.value ?? null });
  return {
    findings: [settingsFinding, judgeVersion(about.data), ...(await clockOf(context, url.value)), ...stores, who.finding],
    natsUrl: who.natsUrl,
  };
}

function judgeVersion({ version, region }: { version: string; region: string }): Finding {
  const detail = `Portolan ${version} answers for region ${region}`;
  if (version === VERSION) return ok("api", detail);
  return warn("api", `${detail}; this command line is ${VERSION}`, "bring both to the same version");
}

async function clockOf(context: Context, url: string): Promise<Finding[]> {
  const { atMs, tookMs, sentAtMs } = await ask(context, { url: `${url}/healthz` });
  if (atMs === null) return [];
  // The header is cut to the second, so on average it is half a second old.
  const offsetMs = atMs + DATE_STEP_MS / 2 - (sentAtMs + tookMs / 2);
  return [judgeClock("clock (API)", { whose: "the API", offsetMs, uncertainMs: DATE_STEP_MS / 2 + tookMs / 2 })];
}

async function checkStores(context: Context, url: string): Promise<Finding[]> {
  const answer = await ask(context, { url: `${url}/readyz` });
  const parsed = readySchema.safeParse(answer.body);
  if (!parsed.success) {
    return [fail("stores", answer.problem ?? `${url}/readyz says nothing usable`, "look at the log of the API")];
  }
  const { registry, ledger } = parsed.data;
  const part = (name: string, { problem }: z.infer<typeof partSchema>): Finding =>
    problem === null ? ok(name, "answers a real query") : fail(name, problem, `look at the log of the ${name}'s sqld and at its unit`);
  return [part("registry", registry), part("ledger", ledger), ...(ledger.ok ? [judgeDurability(ledger.durability)] : [])];
}

function judgeDurability(durability: "strong" | "weak" | "unknown"): Finding {
  if (durability === "strong") return ok("durability", "what the ledger acknowledges is on disk");
  if (durability === "weak") {
    const remedy = "give the keeper the ledger's adminUrl: it switches strong durability on again, which sqld forgets at each start";
    return fail("durability", "what the ledger acknowledges may be lost when its machine fails", remedy);
  }
  return warn("durability", "the ledger's database does not say what a commit is worth", "ask its provider; it promises, not Portolan");
}

type Who = { readonly finding: Finding; readonly natsUrl: string | null };

async function checkToken(context: Context, { url, token }: { url: string; token: string | null }): Promise<Who> {
  const remedy = 'make one with "portolan token add NAME", and give it as PORTOLAN_TOKEN or beside the address in a settings file';
  if (token === null) return { finding: fail("token", `no token goes to ${url}`, remedy), natsUrl: null };
  const answer = await ask(context, { url: `${url}/v1/regions?limit=1000`, token });
  const parsed = regionsSchema.safeParse(answer.body);
  if (answer.status === 401 || answer.status === 403) {
    return {
      finding: fail("token", `the API refuses the token (${answer.status}): ended, revoked, or of another installation`, remedy),
      natsUrl: null,
    };
  }
  if (!parsed.success) {
    return {
      finding: fail("token", answer.problem ?? `the API answered ${answer.status ?? "nothing"}`, "look at the log of the API"),
      natsUrl: null,
    };
  }
  const natsUrl = parsed.data.items.find(({ answering }) => answering)?.natsUrl ?? null;
  return { finding: ok("token", "the API lets it in"), natsUrl };
}

type Answer = {
  readonly status: number | null;
  readonly body: unknown;
  /** Why there is no answer; null when there is one, whatever its status. */
  readonly problem: string | null;
  /** Of the answer's `Date`, null without. */
  readonly atMs: number | null;
  readonly sentAtMs: number;
  readonly tookMs: number;
};

async function ask(context: Context, { url, token }: { readonly url: string; readonly token?: string }): Promise<Answer> {
  const sentAtMs = context.io.now();
  const startedAtMs = performance.now();
  try {
    const signal = AbortSignal.any([AbortSignal.timeout(TIMEOUT_MS), context.io.signal]);
    const headers: Record<string, string> = token === undefined ? {} : { authorization: `Bearer ${token}` };
    const response = await context.io.fetch(new Request(url, { signal, headers }));
    const tookMs = performance.now() - startedAtMs;
    const atMs = Date.parse(response.headers.get("date") ?? "");
    const body: unknown = await response.json().catch(() => null);
    return { status: response.status, body, problem: null, atMs: Number.isNaN(atMs) ? null : atMs, sentAtMs, tookMs };
  } catch (error) {
    const reason = error instanceof Error && error.cause instanceof Error ? error.cause.message : text(error);
    return { status: null, body: null, problem: `${new URL(url).origin} does not answer: ${reason}`, atMs: null, sentAtMs, tookMs: 0 };
  }
}

function text(error: unknown): string {
  return error instanceof PortolanError || error instanceof Error ? error.message : String(error);
}
