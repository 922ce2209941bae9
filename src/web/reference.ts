import { curlOf } from "./reference-example.ts";
import { slugOf } from "./paths.ts";

/** The part of JSON Schema that our own document uses. */
export type Schema = {
  readonly $ref?: string;
  readonly type?: string | readonly string[];
  readonly properties?: Readonly<Record<string, Schema>>;
  readonly required?: readonly string[];
  readonly items?: Schema;
  readonly enum?: readonly unknown[];
  readonly anyOf?: readonly Schema[];
  readonly oneOf?: readonly Schema[];
  readonly allOf?: readonly Schema[];
  readonly additionalProperties?: boolean | Schema;
  readonly description?: string;
  readonly format?: string;
  readonly pattern?: string;
  readonly default?: unknown;
  readonly example?: unknown;
  readonly minimum?: number;
  readonly maximum?: number;
  readonly maxLength?: number;
  readonly maxItems?: number;
};
type Content = Readonly<Record<string, { readonly schema?: Schema; readonly example?: unknown }>>;
export type Operation = {
  readonly operationId?: string;
  readonly summary?: string;
  readonly description?: string;
  readonly tags?: readonly string[];
  readonly "x-portolan-role"?: string;
  readonly parameters?: readonly {
    readonly name: string;
    readonly in: string;
    readonly required?: boolean;
    readonly description?: string;
    readonly schema?: Schema;
  }[];
  readonly requestBody?: { readonly required?: boolean; readonly content?: Content };
  readonly responses?: Readonly<Record<string, { readonly description: string; readonly content?: Content }>>;
};
/** `/openapi.json`. */
export type ApiDocument = {
  readonly info: { readonly version: string; readonly description?: string };
  readonly tags?: readonly { readonly name: string; readonly description?: string }[];
  readonly paths: Readonly<Record<string, Readonly<Record<string, Operation>>>>;
  readonly components?: { readonly schemas?: Readonly<Record<string, Schema>> };
};

/** One line of a table: a parameter or a field, `members[].scanner`. */
export type Field = {
  readonly name: string;
  readonly type: string;
  readonly schema: string | null;
  readonly required: boolean;
  readonly text: string;
};
/** A body: of one component, or with fields of its own. */
export type Body = { readonly mediaType: string; readonly schema: string | null; readonly type: string; readonly fields: readonly Field[] };
export type Answer = { readonly status: string; readonly text: string; readonly bodies: readonly Body[] };
export type OperationView = {
  readonly id: string;
  readonly method: string;
  readonly path: string;
  readonly summary: string;
  /** Least role; "public" needs no token. */
  readonly role: string;
  readonly parameters: readonly (Field & { readonly place: string })[];
  readonly bodies: readonly Body[];
  readonly answers: readonly Answer[];
  readonly curl: string;
};
export type TagView = { readonly name: string; readonly text: string; readonly operations: readonly OperationView[] };

const DEPTH_MAX = 4;

/** Operations by tag, in the document's order. `origin` stands in the examples. */
export function tagsOf(document: ApiDocument, origin: string): TagView[] {
  const views = Object.entries(document.paths).flatMap(([path, operations]) =>
    Object.entries(operations).map(([method, operation]) => ({
      tag: operation.tags?.[0] ?? "other",
      view: viewOf({ document, origin, path, method: method.toUpperCase(), operation }),
    })),
  );
  const texts = new Map((document.tags ?? []).map(({ name, description }) => [name, description ?? ""]));
  return [...Map.groupBy(views, ({ tag }) => tag)].map(([name, all]) => ({
    name,
    text: texts.get(name) ?? "",
    operations: all.map(({ view }) => view),
  }));
}

/** The tag with this name in a path, or null. */
export function tagAt(tags: readonly TagView[], slug: string): TagView | null {
  return tags.find(({ name }) => slugOf(name) === slug) ?? null;
}

/** Fields of each named schema. */
export function schemasOf(document: ApiDocument): { name: string; type: string; fields: Field[] }[] {
  return Object.entries(document.components?.schemas ?? {})
    .toSorted(([a], [b]) => (a < b ? -1 : 1))
    .map(([name, schema]) => ({ name, type: typeOf(schema), fields: fieldsOf(schema) }));
}

export type Found = {
  readonly document: ApiDocument;
  readonly origin: string;
  readonly path: string;
  readonly method: string;
  readonly operation: Operation;
};

function viewOf(found: Found): OperationView {
  const { path, method, operation } = found;
  return {
    id: operation.operationId ?? slugOf(`${method} ${path}`),
    method,
    path,
    summary: operation.summary ?? `${method} ${path}`,
    role: operation["x-portolan-role"] ?? "any",
    parameters: (operation.parameters ?? []).map(({ name, in: place, required, description, schema }) => ({
      ...fieldOf(name, schema ?? {}, required === true),
      ...(description === undefined ? {} : { text: withLimits(description, schema ?? {}) }),
      place,
    })),
    bodies: bodiesOf(operation.requestBody?.content),
    answers: Object.entries(operation.responses ?? {}).map(([status, { description, content }]) => ({
      status,
      text: description,
      bodies: bodiesOf(content),
    })),
    curl: curlOf(found),
  };
}

function bodiesOf(content: Content | undefined): Body[] {
  return Object.entries(content ?? {}).map(([mediaType, { schema = {} }]) => ({
    mediaType,
    schema: nameOf(schema),
    type: typeOf(schema),
    fields: fieldsOf(schema),
  }));
}

/** All fields below a schema, those of named ones left to their own table. */
function fieldsOf(schema: Schema, prefix = "", depth = 0): Field[] {
  if (depth > DEPTH_MAX || schema.$ref !== undefined) return [];
  const own = Object.entries(schema.properties ?? {}).flatMap(([name, field]) => {
    const full = prefix === "" ? name : `${prefix}.${name}`;
    return [fieldOf(full, field, schema.required?.includes(name) === true), ...fieldsOf(field, full, depth + 1)];
  });
  const items = schema.items === undefined ? [] : fieldsOf(schema.items, `${prefix}[]`, depth + 1);
  const values = typeof schema.additionalProperties === "object" ? fieldsOf(schema.additionalProperties, `${prefix}.*`, depth + 1) : [];
  const parts = [...(schema.allOf ?? []), ...(schema.anyOf ?? []), ...(schema.oneOf ?? [])].flatMap((part) =>
    fieldsOf(part, prefix, depth + 1),
  );
  return [...own, ...items, ...values, ...parts];
}

function fieldOf(name: string, schema: Schema, required: boolean): Field {
  return { name, type: typeOf(schema), schema: nameOf(schema), required, text: withLimits(schema.description ?? "", schema) };
}

/** The component that a schema is, or is a list of. */
function nameOf(schema: Schema): string | null {
  if (schema.$ref !== undefined) return schema.$ref.split("/").at(-1) ?? null;
  if (schema.items !== undefined) return nameOf(schema.items);
  return (schema.allOf ?? schema.anyOf ?? schema.oneOf)?.map(nameOf).find((name) => name !== null) ?? null;
}

function typeOf(schema: Schema): string {
  if (schema.$ref !== undefined) return schema.$ref.split("/").at(-1) ?? "";
  if (schema.enum !== undefined) return schema.enum.map((value) => JSON.stringify(value)).join(" | ");
  const parts = schema.anyOf ?? schema.oneOf;
  if (parts !== undefined) return [...new Set(parts.map(typeOf))].join(" | ");
  if (schema.allOf !== undefined) return [...new Set(schema.allOf.map(typeOf).filter((type) => type !== "any"))].join(" & ") || "any";
  if (schema.items !== undefined) return `list of ${typeOf(schema.items)}`;
  if (schema.type === undefined) return "any";
  return typeof schema.type === "string" ? schema.type : schema.type.join(" | ");
}

function withLimits(text: string, { minimum, maximum, maxLength, maxItems, format, default: standard }: Schema): string {
  const limits = [
    minimum !== undefined && maximum !== undefined ? `${minimum} to ${maximum}` : null,
    maxLength === undefined ? null : `up to ${maxLength} characters`,
    maxItems === undefined ? null : `up to ${maxItems} items`,
    format ?? null,
    standard === undefined || standard === null ? null : `default ${JSON.stringify(standard)}`,
  ];
  return [text, ...limits].filter((part) => part !== null && part !== "").join("; ");
}
