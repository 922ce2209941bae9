import { OpenAPIHono } from "@hono/zod-openapi";
import type { MiddlewareHandler } from "hono";
import { etag } from "hono/etag";
import { PortolanError } from "../core/errors.ts";
import { auditRoutes } from "./audit.ts";
import { bulkRoutes } from "./bulk.ts";
import { changeRoutes, isStreamPath } from "./changes.ts";
import { preconditions } from "./conditional.ts";
import type { ApiDeps, ApiEnv } from "./context.ts";
import { denyRoutes } from "./denies.ts";
import { describe } from "./describe.ts";
import { exclusionRoutes } from "./exclusions.ts";
import { exportRoutes, isExportPath } from "./exports.ts";
import { groupRoutes } from "./groups.ts";
import { authorisation, bodyLimits, deadline, requestIds } from "./guards.ts";
import { healthRoutes } from "./health.ts";
import { historyRoutes } from "./history.ts";
import { importRoutes } from "./imports.ts";
import { idempotency } from "./idempotent.ts";
import { jobControlRoutes } from "./job-control.ts";
import { jobRoutes } from "./jobs.ts";
import { knownGoodRoutes } from "./known-good.ts";
import { legacyJobRoutes } from "./legacy-jobs.ts";
import { legacyRoutes } from "./legacy.ts";
import { ledgerRoutes } from "./ledger.ts";
import { planPreviewRoutes } from "./plan-preview.ts";
import { planRoutes } from "./plans.ts";
import { isBug, problemResponse } from "./problem.ts";
import { rangeRoutes } from "./ranges.ts";
import { Counters, guessLimits, tokenLimits } from "./rate-limit.ts";
import { regionRoutes } from "./regions.ts";
import { registryVersions } from "./registry-version.ts";
import { scannerRoutes } from "./scanners.ts";
import { serviceRoutes } from "./services.ts";
import { tokenRoutes } from "./tokens.ts";
import { webhookRoutes } from "./webhooks.ts";
import { whyRoutes } from "./why.ts";

export type { ApiDeps } from "./context.ts";
export type { Problem } from "./problem.ts";

/** The HTTP API. It owns `/v1`, `/healthz`, `/readyz`, `/version` and `/openapi.json` (see `isApiPath`); whatever it refuses is an RFC 9457 problem. */
export function createApp(deps: ApiDeps) {
  const app = new OpenAPIHono<ApiEnv>();
  app.use(requestIds());
  app.use(tags());
  app.use(deadline());
  const counters = new Counters();
  app.use(guessLimits(deps, counters));
  app.use(authorisation(deps));
  app.use(tokenLimits(deps, counters));
  app.use(bodyLimits());
  app.use(preconditions());
  app.use(idempotency(deps));
  app.use(registryVersions(deps));
  const routes = app
    .route("/", healthRoutes(deps))
    .route("/", rangeRoutes(deps))
    .route("/", exclusionRoutes(deps))
    .route("/", denyRoutes(deps))
    .route("/", knownGoodRoutes(deps))
    .route("/", regionRoutes(deps))
    .route("/", scannerRoutes(deps))
    .route("/", groupRoutes(deps))
    .route("/", planPreviewRoutes(deps))
    .route("/", planRoutes(deps))
    .route("/", jobRoutes(deps))
    .route("/", jobControlRoutes(deps))
    .route("/", serviceRoutes(deps))
    .route("/", exportRoutes(deps))
    .route("/", whyRoutes(deps))
    .route("/", historyRoutes(deps))
    .route("/", changeRoutes(deps))
    .route("/", ledgerRoutes(deps))
    .route("/", importRoutes(deps))
    .route("/", legacyRoutes(deps))
    .route("/", legacyJobRoutes(deps))
    .route("/", tokenRoutes(deps))
    .route("/", auditRoutes(deps))
    .route("/", webhookRoutes(deps))
    .route("/", bulkRoutes(deps));
  app.openAPIRegistry.registerComponent("securitySchemes", "token", { type: "http", scheme: "bearer", description: "ptl_…" });
  let description: object | null = null;
  app.get("/openapi.json", (c) => c.json((description ??= describe(app, deps.version))));
  app.onError((error, c) => {
    const requestId = c.get("requestId") ?? "";
    if (isBug(error)) deps.onBug?.(error, requestId);
    return problemResponse(c, error, requestId);
  });
  app.notFound((c) => {
    const error = new PortolanError("not-found", `there is no ${c.req.method} ${c.req.path.slice(0, 200)}; /openapi.json lists all routes`);
    return problemResponse(c, error, c.get("requestId") ?? "");
  });
  return routes;
}

/** ETags from the body; those of exports and streams would have to read all of it first. */
function tags(): MiddlewareHandler<ApiEnv> {
  const middleware = etag({ weak: true });
  return (c, next) => (isExportPath(c.req.path) || isStreamPath(c.req.path) ? next() : middleware(c, next));
}

/** For Hono's typed client: `hc<AppType>(url)`. */
export type AppType = ReturnType<typeof createApp>;

/** Whether the API answers this path; all others belong to the pages. */
export function isApiPath(path: string): boolean {
  return path === "/v1" || path.startsWith("/v1/") || ["/healthz", "/readyz", "/version", "/openapi.json"].includes(path);
}
