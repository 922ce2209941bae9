import type { Found, Schema } from "./reference.ts";

/** What stands for a parameter or a field of this name where the schema gives no example. */
const VALUES: Readonly<Record<string, unknown>> = {
  address: "192.0.2.10",
  addresses: ["192.0.2.250"],
  ip: "192.0.2.10",
  protocol: "tcp",
  port: 443,
  ports: "22,80,443",
  ranges: ["192.0.2.0/24"],
  range: "192.0.2.0/24",
  name: "office",
  owner: "network team",
  reason: "printers",
  plan: "office",
  region: "eu",
  home: "eu",
  scanner: "de01",
  group: "@all",
  every: "6h",
  role: "viewer",
  url: "https://example.org/hook",
  asOf: "2026-01-01T00:00:00Z",
  from: "2026-01-01",
  to: "2026-02-01",
  expiresIn: "90d",
  number: 1,
  tile: 0,
  id: "ID",
};
const DEPTH_MAX = 3;

/** A command that can be pasted into a shell: required parameters and fields only. */
export function curlOf({ document, origin, path, method, operation }: Found): string {
  const parameters = operation.parameters ?? [];
  const filled = path.replaceAll(/\{(\w+)\}/g, (_, name: string) => encodeURIComponent(textOf(VALUES[name] ?? name)));
  const query = new URLSearchParams(
    parameters
      .filter(({ in: place, required }) => place === "query" && required === true)
      .map(({ name, schema }) => [name, textOf(exampleOf(document, schema ?? {}, name))]),
  ).toString();
  const [[type, media] = []] = Object.entries(operation.requestBody?.content ?? {});
  const isStream = Object.values(operation.responses ?? {}).some(({ content }) => content?.["text/event-stream"] !== undefined);
  const words = [
    `curl${isStream ? " -N" : ""}${method === "GET" ? "" : ` -X ${method}`} ${quoted(`${origin}${filled}${query === "" ? "" : `?${query}`}`)}`,
    ...(operation["x-portolan-role"] === "public" ? [] : ['-H "Authorization: Bearer $PORTOLAN_TOKEN"']),
    ...(/^(PATCH|PUT|DELETE)$/.test(method) && path.startsWith("/v1/") ? ["-H 'If-Match: *'"] : []),
    ...(type === undefined ? [] : [`-H ${quoted(`Content-Type: ${type}`)}`]),
    ...(media === undefined
      ? []
      : [
          type === "application/json" || media.example !== undefined
            ? `-d ${quoted(textOf(media.example ?? exampleOf(document, media.schema ?? {}, "")))}`
            : "--data-binary @file",
        ]),
  ];
  return words.join(" \\\n  ");
}

function exampleOf(document: Found["document"], schema: Schema, name: string, depth = 0): unknown {
  if (schema.$ref !== undefined) {
    const target = document.components?.schemas?.[schema.$ref.split("/").at(-1) ?? ""];
    return target === undefined || depth > DEPTH_MAX ? {} : exampleOf(document, target, name, depth + 1);
  }
  if (schema.example !== undefined) return schema.example;
  if (schema.enum !== undefined) return schema.enum[0];
  const type = typeof schema.type === "string" ? schema.type : schema.type?.[0];
  if (type === "object" || schema.properties !== undefined) {
    const required = Object.entries(schema.properties ?? {}).filter(([field]) => schema.required?.includes(field));
    return depth > DEPTH_MAX ? {} : Object.fromEntries(required.map(([field, of]) => [field, exampleOf(document, of, field, depth + 1)]));
  }
  if (VALUES[name] !== undefined && (type === undefined || type === "array") === Array.isArray(VALUES[name])) return VALUES[name];
  const [part] = schema.anyOf ?? schema.oneOf ?? schema.allOf ?? [];
  if (part !== undefined) return exampleOf(document, part, name, depth + 1);
  if (type === "array") return depth > DEPTH_MAX ? [] : [exampleOf(document, schema.items ?? {}, name, depth + 1)];
  if (type === "boolean") return true;
  if (type === "integer" || type === "number") return schema.minimum ?? 1;
  return VALUES[name] ?? "…";
}

function textOf(value: unknown): string {
  return typeof value === "string" ? value : JSON.stringify(value);
}

/** For a POSIX shell. */
function quoted(text: string): string {
  return `'${text.replaceAll("'", "'\\''")}'`;
}
