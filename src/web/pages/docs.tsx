/** @jsxRuntime automatic @jsxImportSource hono/jsx */
import { plural } from "../format.ts";
import { Page, type Frame } from "../layout.tsx";
import { paths } from "../paths.ts";
import type { Body, Field, OperationView, schemasOf, TagView } from "../reference.ts";

type DocsProps = { readonly frame: Frame };

/** All operations of the API, by what they are about. */
export function DocsPage({ frame, tags, version }: DocsProps & { readonly tags: readonly TagView[]; readonly version: string }) {
  return (
    <Page frame={frame} title="API" section={null}>
      <h1>API</h1>
      <p class="lede">
        Version <strong>{version}</strong>. Requests carry a token: <code>Authorization: Bearer ptl_…</code>, made by{" "}
        <code>portolan token add</code>. What is refused is a <a href={paths.docsSchema("Problem")}>problem</a> that names the remedy.
      </p>
      <p>
        For programs: <a href={paths.apiDescription()}>openapi.json</a>. The bodies have a page of their own:{" "}
        <a href={paths.docsTag("schemas")}>schemas</a>.
      </p>
      {tags.map(({ name, text, operations }) => (
        <section class="docs-tag">
          <h2>
            <a href={paths.docsTag(name)}>{name}</a>
          </h2>
          <p class="quiet">{text}</p>
          <ul class="plain-list docs-list">
            {operations.map(({ id, method, path, summary }) => (
              <li>
                <a href={paths.docsTag(name, id)}>{summary}</a> <Route method={method} path={path} />
              </li>
            ))}
          </ul>
        </section>
      ))}
    </Page>
  );
}

/** The operations of one tag in full. */
export function DocsTagPage({ frame, tag }: DocsProps & { readonly tag: TagView }) {
  return (
    <Page frame={frame} title={`API: ${tag.name}`} section={null}>
      <Crumb />
      <h1>{tag.name}</h1>
      <p class="lede">{tag.text}</p>
      {tag.operations.map((operation) => (
        <OperationPart operation={operation} />
      ))}
    </Page>
  );
}

/** What the bodies are made of. */
export function DocsSchemasPage({ frame, schemas }: DocsProps & { readonly schemas: ReturnType<typeof schemasOf> }) {
  return (
    <Page frame={frame} title="API: schemas" section={null}>
      <Crumb />
      <h1>Schemas</h1>
      <p class="lede">{plural(schemas.length, "body", "bodies")} that answers and requests share.</p>
      {schemas.map(({ name, type, fields }) => (
        <section class="docs-operation" id={name} aria-labelledby={`${name}-title`}>
          <h2 id={`${name}-title`}>{name}</h2>
          {fields.length === 0 ? <p>{type}</p> : <Fields caption={`Fields of ${name}`} fields={fields} />}
        </section>
      ))}
    </Page>
  );
}

function Crumb() {
  return (
    <p class="crumb">
      <a href={paths.docs()}>API</a>
    </p>
  );
}

function Route({ method, path }: { readonly method: string; readonly path: string }) {
  return (
    <code class="docs-route">
      {method} {path}
    </code>
  );
}

function OperationPart({ operation }: { readonly operation: OperationView }) {
  const { id, method, path, summary, role, parameters, bodies, answers, curl } = operation;
  return (
    <section class="docs-operation" id={id} aria-labelledby={`${id}-title`}>
      <h2 id={`${id}-title`}>{summary}</h2>
      <p>
        <Route method={method} path={path} />
      </p>
      <p>{ROLE_TEXTS[role] ?? `Needs the role ${role}, or one above it.`}</p>
      {parameters.length > 0 && <Fields caption="Parameters" fields={parameters} />}
      {bodies.map((body) => (
        <BodyPart title="Request" body={body} />
      ))}
      <h3>Answers</h3>
      <dl class="docs-answers">
        {answers.map(({ status, text, bodies: given }) => (
          <>
            <dt>{status === "default" ? "4xx, 5xx" : status}</dt>
            <dd>
              {text}
              {given.length === 0 && <span class="quiet"> (no body)</span>}
              {given.map((body) => (
                <BodyPart title={`Answer ${status}`} body={body} />
              ))}
            </dd>
          </>
        ))}
      </dl>
      <h3>Example</h3>
      <pre tabindex={0} role="region" aria-label={`Example: ${summary}`}>
        <code>{curl}</code>
      </pre>
    </section>
  );
}

const ROLE_TEXTS: Readonly<Record<string, string>> = {
  public: "Needs no token.",
  any: "Needs a token of any role.",
  uploader: "Needs the role uploader, operator or admin.",
};

function BodyPart({ title, body: { mediaType, schema, type, fields } }: { readonly title: string; readonly body: Body }) {
  return (
    <>
      <p class="docs-body">
        {title}: <code>{mediaType}</code>, <Type type={type} schema={schema} />
      </p>
      {fields.length > 0 && <Fields caption={`${title}: fields`} fields={fields} />}
    </>
  );
}

function Type({ type, schema }: { readonly type: string; readonly schema: string | null }) {
  return schema === null ? <code>{type}</code> : <a href={paths.docsSchema(schema)}>{type}</a>;
}

function Fields({ caption, fields }: { readonly caption: string; readonly fields: readonly (Field & { readonly place?: string })[] }) {
  return (
    <table class="stack docs-fields" role="table">
      <caption>{caption}</caption>
      <thead role="rowgroup">
        <tr role="row">
          {["Name", "Type", "Meaning"].map((heading) => (
            <th scope="col" role="columnheader">
              {heading}
            </th>
          ))}
        </tr>
      </thead>
      <tbody role="rowgroup">
        {fields.map(({ name, type, schema, required, text, place }) => (
          <tr role="row">
            <td role="cell">
              <code>{name}</code>
              {required && <strong> required</strong>}
              {place !== undefined && <span class="quiet"> in {place}</span>}
            </td>
            <td role="cell" data-label="type">
              <Type type={type} schema={schema} />
            </td>
            <td role="cell" data-label="meaning">
              {text === "" ? "–" : text}
            </td>
          </tr>
        ))}
      </tbody>
    </table>
  );
}
