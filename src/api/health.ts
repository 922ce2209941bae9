import { z } from "@hono/zod-openapi";
import { PortolanError } from "../core/errors.ts";
import type { LedgerDurability } from "../ledger/types.ts";
import { type ApiDeps, newApi } from "./context.ts";
import { createRoute, json } from "./define.ts";

const partSchema = z.object({ ok: z.boolean(), problem: z.string().nullable() });
const ledgerSchema = partSchema.extend({
  durability: z.enum(["strong", "weak", "unknown"]).openapi({
    description: "strong: what is committed is on disk; weak: it may be lost with the machine; unknown: the database does not say",
  }),
});
const readySchema = z.object({ ready: z.boolean(), region: z.string(), registry: partSchema, ledger: ledgerSchema });
const TAGS = ["health"];

const healthz = createRoute({
  method: "get",
  path: "/healthz",
  tags: TAGS,
  responses: { 200: json(z.object({ ok: z.literal(true) }), "The process answers") },
});
const readyz = createRoute({
  method: "get",
  path: "/readyz",
  tags: TAGS,
  responses: { 200: json(readySchema, "Both stores answer"), 503: json(readySchema, "A store does not answer") },
});
const version = createRoute({
  method: "get",
  path: "/version",
  tags: TAGS,
  responses: { 200: json(z.object({ name: z.literal("portolan"), version: z.string(), region: z.string() }), "What answers") },
});

/** For supervisors and load balancers; they need no token. */
export function healthRoutes({ registry, ledger, region, version: programVersion }: ApiDeps) {
  return newApi()
    .openapi(healthz, (c) => c.json({ ok: true as const }, 200))
    .openapi(readyz, async (c) => {
      // A real query each: sqld's own /health says yes even when it serves nothing.
      let durability: LedgerDurability = "unknown";
      const lookAtLedger = async (): Promise<void> => {
        await ledger.frontier();
        durability = await ledger.durability();
      };
      const [registryPart, ledgerCheck] = await Promise.all([check(() => registry.state()), check(lookAtLedger)]);
      const ledgerPart = { ...ledgerCheck, durability };
      const ready = registryPart.ok && ledgerPart.ok;
      return c.json({ ready, region, registry: registryPart, ledger: ledgerPart }, ready ? 200 : 503);
    })
    .openapi(version, (c) => c.json({ name: "portolan" as const, version: programVersion, region }, 200));
}

const CHECK_WITHIN_MS = 1_500;

async function check(query: () => Promise<unknown>): Promise<z.infer<typeof partSchema>> {
  let timer: ReturnType<typeof setTimeout> | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new PortolanError("unavailable", `no answer within ${CHECK_WITHIN_MS} ms`)), CHECK_WITHIN_MS);
  });
  try {
    await Promise.race([query(), late]);
    return { ok: true, problem: null };
  } catch (error) {
    // Anybody may ask this, so where the store is stays unsaid; a request with a token is told.
    return {
      ok: false,
      problem:
        error instanceof PortolanError && error.code === "unavailable"
          ? "it does not answer; check that its sqld runs"
          : "it answers with an error; the log has more",
    };
  } finally {
    clearTimeout(timer);
  }
}
