import { createApp } from "../../src/api/app.ts";
import { setCallerAddress } from "../../src/api/caller.ts";
import type { Role } from "../../src/registry/types.ts";
import { startWorld } from "../daemon/keeper/world.ts";
import { publicKey, startTestRegistry } from "../registry/harness.ts";

/** API, ledger and keeper as they are; the registry has the scanner `de01` at 192.0.2.250 and the ranges `office`. */
export type OutsideWorld = Awaited<ReturnType<typeof startOutsideWorld>>;

export async function startOutsideWorld() {
  const store = await startTestRegistry();
  const { registry } = store;
  // Tokens and stamps go by the real clock here, as the keeper does.
  store.clock.nowMs = Date.now();
  await registry.addRegion("eu");
  await registry.addScanner({ name: "de01", region: "eu", addresses: ["192.0.2.250"], publicKey: publicKey(0) });
  await registry.addRangeGroup({ name: "office", ranges: ["192.0.2.0/24", "2001:db8::/64"] });
  const issue = async (role: Role, name: string): Promise<string> => (await registry.tokens.issue({ name, role, expiresAtMs: null })).text;
  const tokens = {
    viewer: await issue("viewer", "anna"),
    uploader: await issue("uploader", "cron-de"),
    operator: await issue("operator", "otto"),
  };
  const keeping = await startWorld();
  const keeper = keeping.startKeeper("k1");
  const bugs: unknown[] = [];
  const { ledger } = keeping;
  const appWith = (legacyFromScanners: boolean) =>
    createApp({
      registry,
      ledger,
      clock: () => Date.now(),
      version: "0.0.0",
      region: "eu",
      legacyFromScanners,
      onBug: (error) => void bugs.push(error),
    });
  const app = appWith(false);
  return {
    store,
    keeping,
    keeper,
    ledger,
    tokens,
    bugs,
    fetch: async (request: Request): Promise<Response> => app.fetch(request),
    /** As `curl` would with the uploader's token in the URL, unless told otherwise. */
    ask: async (method: string, path: string, options: { body?: BodyInit; headers?: Record<string, string> } = {}): Promise<Response> =>
      app.request(path, { method, ...options, headers: { authorization: basic(tokens.uploader), ...options.headers } }),
    /** Without any credential, from an address, where the operator has (not) allowed that. */
    askFrom: async (address: string | null, allowed: boolean, init: { method: string; path: string; body?: string }): Promise<Response> => {
      const headers = { "content-type": "application/json" };
      const { method, path, body } = init;
      const request = new Request(`http://api${path}`, { method, headers, ...(body === undefined ? {} : { body }) });
      if (address !== null) setCallerAddress(request, address);
      return appWith(allowed).fetch(request);
    },
    /** Open services of the register, "address:port/protocol". */
    open: async (): Promise<string[]> => {
      const { items } = await ledger.listServices({ state: "open", known: "show", limit: 1_000 });
      return items.map(({ address, port, protocol }) => `${address}:${port}/${protocol}`);
    },
    stop: async (): Promise<void> => {
      await keeping.stop();
      await store.close();
    },
  };
}

export function basic(token: string): string {
  return `Basic ${btoa(`cron:${token}`)}`;
}
