import { PortolanError } from "../core/errors.ts";
import { AUDIT_HEAD, ITSELF, readAudit, type Writer } from "./audit.ts";
import type { AuditEntry, AuditHead } from "./audit-chain.ts";
import { createChange, currentState } from "./change.ts";
import { type Idempotency, openIdempotency } from "./idempotency.ts";
import { resolveSnapshot } from "./rules/resolve.ts";
import { VERSION, loadState } from "./state.ts";
import { type Store, openStore } from "./store.ts";
import { type IssuedToken, type Tokens, openTokens } from "./tokens.ts";
import type { RegistrySnapshot, RegistryState } from "./types.ts";
import { createWrites, type Writes } from "./writes.ts";

/** Where the registry is. Without `primaryUrl`, reads and writes go to `url`. */
export type RegistryOptions = {
  /** The nearest sqld, a replica perhaps. */
  readonly url: string;
  readonly authToken?: string;
  /** The one sqld that takes writes. Never a replica: it would hang while the primary is away. */
  readonly primaryUrl?: string;
  readonly primaryAuthToken?: string;
  /** Time-out of each call; default 1,500: below the 2 s in which the API promises an answer. */
  readonly timeoutMs?: number;
  readonly clock?: () => number;
};

/**
 * The configuration store. Reads give one consistent version and, in this process, never one older than its own last write.
 * Every write checks its rules on the primary's state and is accepted only if nothing else was written meanwhile, so each may be repeated.
 * Writes without `as` are Portolan's own in the audit log.
 * Throws `unavailable` when the store does not answer in time, `invalid`, `not-found` and `conflict` for what the rules refuse.
 */
export type Registry = ReturnType<typeof openRegistry>;

export function openRegistry(options: RegistryOptions) {
  const stores = openStores(options);
  const clock = options.clock ?? (() => Date.now());
  const { change, state, seen, seenVersion } = openState(stores, clock);
  const tokens: Tokens = openTokens({ ...stores, clock });
  const idempotency: Idempotency = openIdempotency({ primary: stores.primary, clock });
  return {
    ...createWrites(change, ITSELF, clock),
    /** The same writes on behalf of somebody else. */
    as: (by: Writer): Writes => createWrites(change, by, clock),
    tokens,
    idempotency,
    /** Entries of the audit log, the newest first, below `before`; at most 200. */
    audit: (input: { readonly before: number | null; readonly limit: number }): Promise<AuditEntry[]> => readAudit(stores.replica, input),
    /** End of the audit log's chain, as the primary has it. */
    auditHead: async (): Promise<AuditHead> => (await stores.primary.read(AUDIT_HEAD))[0],
    /** All configuration at its current version. */
    state,
    /**
     * Somebody names the version that a write of theirs had: from now on this process reads nothing older, as if it had written itself. A
     * version that the primary does not have is ignored; never throws.
     */
    seen,
    /** The newest version that this process wrote or was named; 0 when there was none. */
    seenVersion,
    /** The keeper's view: plans with every name resolved. */
    snapshot: async (): Promise<RegistrySnapshot> => resolveSnapshot(await state(), clock()),
    close: (): void => {
      stores.replica.close();
      stores.primary.close();
    },
  };
}

/** The first start: the region, and an admin token when no token exists yet (its text is returned this once). Repeatable. */
export async function bootstrap(
  registry: Registry,
  input: { readonly region: string; readonly tokenName: string },
): Promise<IssuedToken | null> {
  await registry.addRegion(input.region);
  if ((await registry.tokens.list()).length > 0) return null;
  return registry.tokens.issue({ name: input.tokenName, role: "admin", expiresAtMs: null });
}

type Stores = { readonly replica: Store; readonly primary: Store };

function openStores(options: RegistryOptions): Stores {
  const timeoutMs = options.timeoutMs ?? 1_500;
  const replica = openStore({ url: options.url, timeoutMs, ...(options.authToken === undefined ? {} : { authToken: options.authToken }) });
  if (options.primaryUrl === undefined) return { replica, primary: replica };
  const primaryToken = options.primaryAuthToken ?? options.authToken;
  return {
    replica,
    primary: openStore({ url: options.primaryUrl, timeoutMs, ...(primaryToken === undefined ? {} : { authToken: primaryToken }) }),
  };
}

/** After a try in vain, reads do not wait for the primary for so long. */
const PRIMARY_REST_MS = 5_000;

function openState({ replica, primary }: Stores, clock: () => number) {
  let cached: RegistryState | null = null;
  let writtenVersion = 0;
  let restsUntilMs = 0;
  const load = async (store: Store): Promise<RegistryState> => {
    const loaded = await loadState(store);
    cached = loaded;
    return loaded;
  };
  const current = async (store: Store): Promise<RegistryState> => {
    const [version] = await store.read(VERSION);
    // Replicas lag by milliseconds: whoever wrote here reads its own write, from the primary if need be.
    if (version < writtenVersion) {
      if (cached !== null && cached.version >= writtenVersion && store === replica) return cached;
      const newest = clock() < restsUntilMs ? null : await load(primary).catch(unlessAway);
      if (newest !== null) return newest;
      if (clock() >= restsUntilMs) restsUntilMs = clock() + PRIMARY_REST_MS;
    }
    return cached?.version === version ? cached : load(store);
  };
  const state = (): Promise<RegistryState> => current(replica);
  const seen = async (named: number): Promise<void> => {
    if (named <= writtenVersion) return;
    const [held] = await replica.read(VERSION).catch(() => [0] as const);
    const known =
      held >= named
        ? held
        : await primary.read(VERSION).then(
            ([version]) => version,
            () => 0,
          );
    if (known >= named) writtenVersion = Math.max(writtenVersion, named);
  };
  const seenVersion = (): number => writtenVersion;
  const atVersion = currentState(
    primary,
    () => cached,
    (loaded) => void (cached = loaded),
  );
  const wrote = (version: number): void => void (writtenVersion = Math.max(writtenVersion, version));
  const change = createChange({ primary, current: atVersion, wrote, clock });
  return { change, state, seen, seenVersion };
}

/** Reads go on while the primary is away: what the replica has is the best there is. */
function unlessAway(error: unknown): null {
  if (error instanceof PortolanError && error.code === "unavailable") return null;
  throw error;
}
