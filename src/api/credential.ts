import type { Context } from "hono";
import { parseAddress } from "../core/address.ts";
import { PortolanError } from "../core/errors.ts";
import type { TokenInfo } from "../registry/types.ts";
import { callerAddress } from "./caller.ts";
import type { ApiDeps } from "./context.ts";

/**
 * Who calls one of the old program's routes: the token that HTTP Basic carries as its password, or, where the operator allows that, the registered
 * scanner from whose address a request without any credential comes. Null: look for a bearer token as everywhere.
 */
export async function legacyCaller(c: Context, deps: ApiDeps, defer: (work: Promise<unknown>) => void): Promise<TokenInfo | null> {
  const header = c.req.header("authorization");
  if (header !== undefined) {
    const password = /^basic\s/i.test(header) ? passwordOf(header) : null;
    if (password === null) return null;
    const token = await deps.registry.tokens.verify(password, defer);
    if (token !== null) return token;
    throw new PortolanError(
      "unauthenticated",
      'the password is no valid token; use one that "portolan token add NAME --role uploader" made',
    );
  }
  return deps.legacyFromScanners === true ? registeredCaller(c, deps) : null;
}

async function registeredCaller(c: Context, { registry, region }: ApiDeps): Promise<TokenInfo | null> {
  const text = callerAddress(c.req.raw);
  const address = text === null ? null : addressOf(text);
  if (address === null) return null;
  const { scanners } = await registry.state();
  const scanner = scanners.find(
    (one) => one.enabled && one.region === region && one.addresses.some((known) => addressOf(known) === address),
  );
  if (scanner === undefined) return null;
  return {
    id: `scanner:${scanner.name}`,
    name: scanner.name,
    role: "uploader",
    scope: { regions: [region], groups: null },
    createdAtMs: scanner.createdAtMs,
    expiresAtMs: null,
    revokedAtMs: null,
    lastUsedAtMs: null,
  };
}

function addressOf(text: string): bigint | null {
  try {
    return parseAddress(text);
  } catch {
    return null;
  }
}

function passwordOf(header: string): string {
  try {
    const text = atob(header.trim().split(/\s+/)[1] ?? "");
    return text.slice(text.indexOf(":") + 1);
  } catch {
    return "";
  }
}
