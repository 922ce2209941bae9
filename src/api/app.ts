import { OpenAPIHono } from "@hono/zod-openapi";
import { etag } from "hono/etag";
import { PortolanError } from "../core/errors.ts";
import { changeRoutes } from "./changes.ts";
import type { ApiDeps, ApiEnv } from "./context.ts";
import { problemSchema } from "./define.ts";
import { exclusionRoutes } from "./exclusions.ts";
import { groupRoutes } from "./groups.ts";
import { authorisation, bodyLimits, deadline, requestIds } from "./guards.ts";
import { healthRoutes } from "./health.ts";
import { historyRoutes } from "./history.ts";
import { jobControlRoutes } from "./job-control.ts";
import { jobRoutes } from "./jobs.ts";
import { knownGoodRoutes } from "./known-good.ts";
import { ledgerRoutes } from "./ledger.ts";
import { planRoutes } from "./plans.ts";
import { isBug, problemResponse } from "./problem.ts";
import { rangeRoutes } from "./ranges.ts";
import { scannerRoutes } from "./scanners.ts";
import { serviceRoutes } from "./services.ts";
import { tokenRoutes } from "./tokens.ts";
import { whyRoutes } from "./why.ts";

export type { ApiDeps } from "./context.ts";
export type { Problem } from "./problem.ts";

/** The HTTP API. It owns `/v1`, `/healthz`, `/readyz`, `/version` and `/openapi.json` (see `isApiPath`); whatever it refuses is an RFC 9457 problem. */
export function createApp(deps: ApiDeps) {
  const app = new OpenAPIHono<ApiEnv>();
  app.use(requestIds());
  app.use(etag({ weak: true }));
  app.use(deadline());
  app.use(authorisation(deps));
  app.use(bodyLimits());
  const routes = app
    .route("/", healthRoutes(deps))
    .route("/", rangeRoutes(deps))
    .route("/", exclusionRoutes(deps))
    .route("/", knownGoodRoutes(deps))
    .route("/", scannerRoutes(deps))
    .route("/", groupRoutes(deps))
    .route("/", planRoutes(deps))
    .route("/", jobRoutes(deps))
    .route("/", jobControlRoutes(deps))
    .route("/", serviceRoutes(deps))
    .route("/", whyRoutes(deps))
    .route("/", historyRoutes(deps))
    .route("/", changeRoutes(deps))
    .route("/", ledgerRoutes(deps))
    .route("/", tokenRoutes(deps));
  app.openAPIRegistry.registerComponent("securitySchemes", "token", { type: "http", scheme: "bearer", description: "ptl_…" });
  app.get("/openapi.json", (c) => c.json(describe(app, deps.version)));
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

/** For Hono's typed client: `hc<AppType>(url)`. */
export type AppType = ReturnType<typeof createApp>;

/** Whether the API answers this path; all others belong to the pages. */
export function isApiPath(path: string): boolean {
  return path === "/v1" || path.startsWith("/v1/") || ["/healthz", "/readyz", "/version", "/openapi.json"].includes(path);
}

/** The OpenAPI 3.1 document, with the problem as every operation's other answer. */
function describe(app: OpenAPIHono<ApiEnv>, version: string): object {
  app.openAPIRegistry.register("Problem", problemSchema);
  const document = app.getOpenAPI31Document({
    openapi: "3.1.0",
    info: { title: "Portolan", version, description: "Charts the open ports of your own networks." },
    security: [{ token: [] }],
  });
  const problem = {
    description: "A problem (RFC 9457)",
    content: { "application/problem+json": { schema: { $ref: "#/components/schemas/Problem" } } },
  };
  for (const operations of Object.values(document.paths ?? {})) {
    for (const operation of Object.values(operations)) operation.responses["default"] = problem;
  }
  return document;
}
