import type { Context } from "hono";
import { PortolanError, type ErrorCode } from "../core/errors.ts";
import { VERSION_HEADER } from "../api/registry-version.ts";
import { paths } from "./paths.ts";
import { isSameOrigin, rememberVersion, sessionToken, setPageHeaders } from "./security.ts";

/** Asks the API of this process: its table of roles and its rules hold for forms too. */
export type CallApi = (request: Request) => Response | Promise<Response>;

const CODES: ReadonlySet<string> = new Set<ErrorCode>(["invalid", "unauthenticated", "forbidden", "not-found", "conflict", "unavailable"]);

/** Does what a form of ours asked for, with the rights of who is signed in, and leads back to the page. Throws the API's refusal. */
export async function postToApi(
  c: Context,
  callApi: CallApi,
  options: { readonly path: string; readonly back: string },
): Promise<Response> {
  if (!isSameOrigin(c.req.raw)) {
    throw new PortolanError("forbidden", "This form was not sent from a page of this site; open the page and send it from there.");
  }
  const token = sessionToken(c);
  if (token === null) return c.redirect(paths.login(options.back), 303);
  const url = new URL(options.path, c.req.url);
  const response = await callApi(new Request(url, { method: "POST", headers: { authorization: `Bearer ${token}` } }));
  if (!response.ok) throw await refusalOf(response);
  await response.body?.cancel();
  setPageHeaders(c);
  const version = response.headers.get(VERSION_HEADER);
  if (version !== null) rememberVersion(c, version);
  return c.redirect(options.back, 303);
}

/** A file of the API for who is signed in, passed on as it comes. Throws the API's refusal. */
export async function exportFile(c: Context, callApi: CallApi, path: string): Promise<Response> {
  const url = new URL(path, c.req.url);
  url.search = new URL(c.req.url).search;
  const response = await callApi(
    new Request(url, { headers: { authorization: `Bearer ${sessionToken(c) ?? ""}` }, signal: c.req.raw.signal }),
  );
  if (!response.ok) throw await refusalOf(response);
  setPageHeaders(c);
  for (const name of ["content-type", "content-disposition"]) c.header(name, response.headers.get(name) ?? "");
  return new Response(response.body, { headers: c.res.headers });
}

async function refusalOf(response: Response): Promise<PortolanError> {
  const problem: unknown = await response.json().catch(() => null);
  const { code, detail } = typeof problem === "object" && problem !== null ? (problem as { code?: unknown; detail?: unknown }) : {};
  if (typeof code === "string" && typeof detail === "string" && CODES.has(code)) return new PortolanError(code as ErrorCode, detail);
  return new PortolanError("internal", "The server met an error of its own; its log has more.");
}
