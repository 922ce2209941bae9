import { createConfig, lintFromString } from "@redocly/openapi-core";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { ROUTE_ROLES } from "../../src/api/roles.ts";
import { startTestApi, type TestApi } from "./harness.ts";

type Media = { schema?: object; example?: unknown };
type Operation = {
  operationId?: string;
  summary?: string;
  tags?: string[];
  security?: object[];
  "x-portolan-role"?: string;
  parameters?: { name: string; in: string; schema?: object }[];
  responses: Record<string, { description: string; content?: Record<string, Media> }>;
};
type Document = { tags: { name: string; description: string }[]; paths: Record<string, Record<string, Operation>> };

let api: TestApi;
let text: string;
let document: Document;
let operations: (readonly [string, Operation])[];

beforeAll(async () => {
  api = await startTestApi();
  text = await (await api.ask("GET", "/openapi.json", { role: null })).text();
  document = JSON.parse(text) as Document;
  operations = Object.entries(document.paths).flatMap(([path, of]) =>
    Object.entries(of).map(([method, operation]) => [`${method.toUpperCase()} ${path}`, operation] as const),
  );
});

afterAll(async () => {
  await api.close();
});

/** What the old program's scripts get has no body. */
const WITHOUT_BODY = new Set(["POST /results 200", "PUT /results/{id} 200", "POST /traceroute 201"]);

describe("the OpenAPI document", () => {
  test("passes the linter without an error or a warning, and a damaged one does not", async () => {
    const config = await createConfig({
      extends: ["recommended"],
      rules: {
        // The problem of every operation stands under `default`.
        "operation-4xx-response": "off",
        // It is served by every region under its own address.
        "no-server-example.com": "off",
        // `/v1/plans/preview` stands before `/v1/plans/{name}`, and no plan may have that name.
        "no-ambiguous-paths": "off",
      },
    });
    const lint = async (source: string): Promise<string[]> => {
      const problems = await lintFromString({ source, absoluteRef: "openapi.json", config });
      return problems.map(({ ruleId, message, location }) => `${ruleId} ${location[0]?.pointer ?? ""}: ${message}`);
    };
    expect(await lint(text)).toEqual([]);
    const damaged = text
      .replaceAll('#/components/schemas/Plan"', '#/components/schemas/Plam"')
      .replace('"operationId":"isAlive"', '"operationId":"isReady"');
    expect(await lint(damaged)).toEqual(
      expect.arrayContaining([expect.stringMatching(/^no-unresolved-refs /), expect.stringMatching(/^operation-operationId-unique /)]),
    );
  });

  test("every operation has an id of its own, a summary, a known tag, and the role that the table of roles says", () => {
    const known = new Set(document.tags.map(({ name }) => name));
    for (const [route, operation] of operations) {
      const role = ROUTE_ROLES[route.replaceAll(/\{(\w+)\}/g, ":$1")];
      expect([route, operation.operationId, operation.summary]).toEqual([
        route,
        expect.stringMatching(/^[a-z][A-Za-z]+$/),
        expect.stringMatching(/^[A-Z].+[^.]$/),
      ]);
      expect([route, operation["x-portolan-role"], operation.security]).toEqual([route, role, role === "public" ? [] : [{ token: [] }]]);
      expect(
        operation.tags?.map((tag) => known.has(tag)),
        route,
      ).toEqual([true]);
    }
    expect(new Set(operations.map(([, { operationId }]) => operationId)).size).toBe(operations.length);
    expect(document.tags.filter(({ name, description }) => description === name)).toEqual([]);
  });

  test("every answer has a description and a schema for its body, and every parameter a schema", () => {
    for (const [route, { responses, parameters = [] }] of operations) {
      for (const parameter of parameters) expect(parameter, route).toHaveProperty("schema");
      for (const [status, { description, content = {} }] of Object.entries(responses)) {
        const answer = `${route} ${status}`;
        expect(description.length, answer).toBeGreaterThan(3);
        const schemas = Object.values(content).map(({ schema }) => schema !== undefined);
        expect([answer, schemas]).toEqual([
          answer,
          WITHOUT_BODY.has(answer) ? [] : schemas.length === 0 ? [true] : schemas.map(() => true),
        ]);
      }
    }
  });
});
