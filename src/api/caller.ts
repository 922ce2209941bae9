const addresses = new WeakMap<Request, string>();

/** Remembers from which address a request came, as far as the runtime or a trusted proxy knows. */
export function setCallerAddress(request: Request, address: string): void {
  addresses.set(request, address);
}

/** From which address a request came; null when nobody trustworthy said. */
export function callerAddress(request: Request): string | null {
  return addresses.get(request) ?? null;
}
