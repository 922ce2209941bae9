import type { OpenAPIHono } from "@hono/zod-openapi";
import type { ApiEnv } from "./context.ts";
import { problemSchema } from "./define.ts";
import { operationName } from "./operations.ts";
import { ROUTE_ROLES } from "./roles.ts";

const PROBLEM = {
  description: "A problem (RFC 9457)",
  content: {
    "application/problem+json": {
      schema: { $ref: "#/components/schemas/Problem" },
      example: {
        type: "urn:portolan:problem:not-found",
        title: "There is no such thing",
        status: 404,
        detail: 'there is no plan "offce"; GET /v1/plans lists what there is',
        code: "not-found",
        request_id: "5f0c6f7e-6c39-4f0e-9d0b-0b6f7f0d9a11",
      },
    },
  },
};

/** What the operations of each tag are about. */
const TAGS: Readonly<Record<string, string>> = {
  health: "For supervisors and load balancers; they need no token.",
  regions: "Regions, and how this one sees the others.",
  ranges: "Ranges of addresses that plans include or leave out, in named groups.",
  exclusions: "What is never probed.",
  deny: "Emergency stop for addresses: it works while the registry is away.",
  "known-good": "What is expected open.",
  scanners: "The machines that scan.",
  "scanner groups": "Which scanners work together.",
  plans: "What is scanned, how and when.",
  jobs: "One run of a plan each.",
  services: "The register: what is open, missing and closed.",
  exports: "The register as files.",
  history: "The register as it was.",
  changes: "What opened and closed, as it happens.",
  ledger: "The store of all records of this region.",
  imports: "Findings of other scans.",
  "old program": "What scripts of the old program ask, and its jobs.",
  tokens: "Who may do what.",
  audit: "Who changed what.",
  webhooks: "Who is told of changes.",
  "import and export": "Whole lists as files.",
};

/** The OpenAPI 3.1 document: routes from their schemas; names, roles and the problem that each of them may answer with from here. */
export function describe(app: OpenAPIHono<ApiEnv>, version: string): object {
  app.openAPIRegistry.register("Problem", problemSchema);
  const document = app.getOpenAPI31Document({
    openapi: "3.1.0",
    info: {
      title: "Portolan",
      version,
      description:
        "Charts the open ports of your own networks. All times are UTC. Whatever is refused is a problem as RFC 9457 has it. Lists come in pages: follow next_cursor.",
      license: { name: "MIT", url: "https://spdx.org/licenses/MIT" },
    },
    servers: [{ url: "/", description: "The region that answers" }],
    security: [{ token: [] }],
  });
  const used = new Set<string>();
  for (const [path, operations] of Object.entries(document.paths ?? {})) {
    for (const [method, operation] of Object.entries(operations)) {
      const route = `${method.toUpperCase()} ${path.replaceAll(/\{(\w+)\}/g, ":$1")}`;
      const [operationId, summary] = operationName(route) ?? [];
      const role = ROUTE_ROLES[route];
      if (operationId !== undefined) Object.assign(operation, { operationId, summary });
      Object.assign(operation, { "x-portolan-role": role, security: role === "public" ? [] : [{ token: [] }] });
      operation.responses["default"] = PROBLEM;
      for (const tag of operation.tags ?? []) used.add(tag);
    }
  }
  const tags = [...used].map((name) => ({ name, description: TAGS[name] ?? name }));
  return { ...document, tags };
}
