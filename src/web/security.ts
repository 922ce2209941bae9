import type { Context } from "hono";
import { deleteCookie, getCookie, setCookie } from "hono/cookie";
import { parse } from "hono/utils/cookie";

const SESSION_COOKIE = "portolan_token";
const SESSION_S = 12 * 3_600;

/**
 * Only this site's own style sheet, script and images; no inline script or style, no frames, no other origin.
 *
 * htmx fetches pages again from this site, hence `connect-src 'self'`.
 */
const CONTENT_SECURITY_POLICY = [
  "default-src 'none'",
  "script-src 'self'",
  "style-src 'self'",
  "img-src 'self'",
  "connect-src 'self'",
  "form-action 'self'",
  "base-uri 'none'",
  "frame-ancestors 'none'",
].join("; ");

/** Headers of every page. `no-store`: a page shows findings that only a signed-in person may see. */
export function setPageHeaders(c: Context): void {
  c.header("Content-Security-Policy", CONTENT_SECURITY_POLICY);
  c.header("X-Content-Type-Options", "nosniff");
  // Not `no-referrer`: with it browsers send `Origin: null` with our own forms, and outside of TLS nothing else tells them from foreign ones.
  c.header("Referrer-Policy", "same-origin");
  c.header("Cross-Origin-Resource-Policy", "same-origin");
  c.header("Permissions-Policy", "camera=(), geolocation=(), microphone=()");
  c.header("Cache-Control", "no-store");
}

/** Whether the browser says that the request comes from a page of this site. Silence counts as no. */
export function isSameOrigin(request: Request): boolean {
  const site = request.headers.get("sec-fetch-site");
  if (site !== null) return site === "same-origin";
  const origin = request.headers.get("origin");
  if (origin === null || !URL.canParse(origin)) return false;
  // Hosts only: behind a proxy that ends TLS the schemes differ.
  return new URL(origin).host === (request.headers.get("host") ?? new URL(request.url).host);
}

/** The token that the browser holds since it signed in, or null. */
export function sessionToken(c: Context): string | null {
  const token = getCookie(c, SESSION_COOKIE);
  return token === undefined || token === "" ? null : token;
}

/** The same from a whole `Cookie` header. */
export function sessionTokenOf(cookies: string): string | null {
  const token = parse(cookies, SESSION_COOKIE)[SESSION_COOKIE];
  return token === undefined || token === "" ? null : token;
}

/** Scripts cannot read it and other sites cannot send it; over TLS it never travels in the clear. */
export function startSession(c: Context, token: string): void {
  setCookie(c, SESSION_COOKIE, token, { httpOnly: true, sameSite: "Strict", path: "/", maxAge: SESSION_S, secure: isSecure(c) });
}

const VERSION_COOKIE = "portolan_registry";
/** Replicas lag by milliseconds; a minute is plenty. */
const VERSION_S = 60;

/** Remembers the registry's version after a write through a form: the next pages of this session show that write. */
export function rememberVersion(c: Context, version: string): void {
  setCookie(c, VERSION_COOKIE, version, { httpOnly: true, sameSite: "Strict", path: "/", maxAge: VERSION_S, secure: isSecure(c) });
}

/** What `rememberVersion` left; null when nothing was written lately. */
export function registryVersion(c: Context): string | null {
  return getCookie(c, VERSION_COOKIE) ?? null;
}

export function endSession(c: Context): void {
  // Pages may stand in the browser's own cache for their ETag's sake: who signs out leaves none behind.
  c.header("Clear-Site-Data", '"cache"');
  deleteCookie(c, SESSION_COOKIE, { path: "/", secure: isSecure(c) });
}

function isSecure(c: Context): boolean {
  return new URL(c.req.url).protocol === "https:" || c.req.header("x-forwarded-proto") === "https";
}
