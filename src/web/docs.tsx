/** @jsxRuntime automatic @jsxImportSource hono/jsx */
import type { Context } from "hono";
import { PortolanError } from "../core/errors.ts";
import type { CallApi } from "./actions.ts";
import type { Frame } from "./layout.tsx";
import { DocsPage, DocsSchemasPage, DocsTagPage } from "./pages/docs.tsx";
import { paths } from "./paths.ts";
import { type ApiDocument, schemasOf, tagAt, tagsOf } from "./reference.ts";
import { setPageHeaders } from "./security.ts";

export type DocsOptions = { readonly callApi: CallApi; readonly frame: Frame };

/** The API's own document as pages: `/docs`, `/docs/schemas` and one for each tag. It is public, as the document is. */
export async function docsPage(c: Context, { callApi, frame }: DocsOptions): Promise<Response> {
  const response = await callApi(new Request(new URL(paths.apiDescription(), c.req.url)));
  if (!response.ok) throw new PortolanError("unavailable", "The description of the API cannot be had now. Reload the page in a moment.");
  // Our own document, whose shape its own test holds.
  const document = (await response.json()) as ApiDocument;
  const slug = c.req.param("tag");
  setPageHeaders(c);
  if (slug === "schemas") return c.html(<DocsSchemasPage frame={frame} schemas={schemasOf(document)} />);
  const tags = tagsOf(document, new URL(c.req.url).origin);
  if (slug === undefined) return c.html(<DocsPage frame={frame} tags={tags} version={document.info.version} />);
  const tag = tagAt(tags, slug);
  if (tag === null) throw new PortolanError("not-found", "The API has no such part; the page of the API lists what there is.");
  return c.html(<DocsTagPage frame={frame} tag={tag} />);
}
