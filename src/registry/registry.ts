import { eq, sql } from "drizzle-orm";
import { PortolanError } from "../core/errors.ts";
import type { Change } from "./rules/change.ts";
import { type ExclusionInput, addExclusion, deleteExclusion, normaliseExclusion } from "./rules/exclusions.ts";
import { type KnownGoodInput, addKnownGood, deleteKnownGood, normaliseKnownGood } from "./rules/known-good.ts";
import { type PlanChanges, type PlanInput, addPlan, changePlan, deletePlan } from "./rules/plans.ts";
import { addRangeGroup, addRanges, deleteRangeGroup, removeRanges } from "./rules/ranges.ts";
import { resolveSnapshot } from "./rules/resolve.ts";
import {
  type ScannerInput,
  addGroup,
  addMember,
  addRegion,
  addScanner,
  deleteGroup,
  deleteScanner,
  removeMember,
  setMembers,
} from "./rules/scanners.ts";
import { build } from "./query.ts";
import { meta } from "./schema.ts";
import { VERSION, loadState } from "./state.ts";
import { type Store, openStore } from "./store.ts";
import { sha256Hex } from "./token.ts";
import { type IssuedToken, type Tokens, openTokens } from "./tokens.ts";
import type {
  Exclusion,
  GroupMember,
  KnownGood,
  Plan,
  RangeGroup,
  Region,
  RegistrySnapshot,
  RegistryState,
  Scanner,
  ScannerGroup,
} from "./types.ts";

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

/** What a write did: `changed` is false when everything already was as asked. */
export type Written<T> = { readonly value: T; readonly changed: boolean; readonly version: number };

const ATTEMPTS_MAX = 10;

/**
 * The configuration store. Reads give one consistent version and, in this process, never one older than its own last write.
 * Every write checks its rules on the primary's state and is accepted only if nothing else was written meanwhile, so each may be repeated.
 * Throws `unavailable` when the store does not answer in time, `invalid`, `not-found` and `conflict` for what the rules refuse.
 */
export type Registry = ReturnType<typeof openRegistry>;

export function openRegistry(options: RegistryOptions) {
  const stores = openStores(options);
  const clock = options.clock ?? (() => Date.now());
  const tokens: Tokens = openTokens({ ...stores, clock });
  const { change, state } = openState(stores);
  return {
    tokens,
    /** All configuration at its current version. */
    state,
    /** The keeper's view: plans with every name resolved. */
    snapshot: async (): Promise<RegistrySnapshot> => resolveSnapshot(await state(), clock()),
    addRegion: (name: string): Promise<Written<Region>> => change((now) => addRegion(now, { name, nowMs: clock() })),
    addScanner: (input: ScannerInput): Promise<Written<Scanner>> => change((now) => addScanner(now, { ...input, nowMs: clock() })),
    deleteScanner: (name: string): Promise<Written<null>> => change((now) => deleteScanner(now, name)),
    addGroup: (input: { name: string; members: readonly GroupMember[] }): Promise<Written<ScannerGroup>> =>
      change((now) => addGroup(now, { ...input, nowMs: clock() })),
    setMembers: (input: { group: string; members: readonly GroupMember[] }): Promise<Written<ScannerGroup>> =>
      change((now) => setMembers(now, input)),
    addMember: (input: { group: string; member: GroupMember }): Promise<Written<ScannerGroup>> => change((now) => addMember(now, input)),
    removeMember: (input: { group: string; scanner: string }): Promise<Written<ScannerGroup>> => change((now) => removeMember(now, input)),
    deleteGroup: (name: string): Promise<Written<null>> => change((now) => deleteGroup(now, name)),
    addRangeGroup: (input: { name: string; ranges: readonly string[] }): Promise<Written<RangeGroup>> =>
      change((now) => addRangeGroup(now, { ...input, nowMs: clock() })),
    deleteRangeGroup: (name: string): Promise<Written<null>> => change((now) => deleteRangeGroup(now, name)),
    addRanges: (input: { group: string; ranges: readonly string[] }): Promise<Written<RangeGroup>> =>
      change((now) => addRanges(now, input)),
    removeRanges: (input: { group: string; ranges: readonly string[] }): Promise<Written<RangeGroup>> =>
      change((now) => removeRanges(now, input)),
    addExclusion: async (input: ExclusionInput): Promise<Written<Exclusion>> => {
      const exclusion = normaliseExclusion(input, clock());
      const id = (await sha256Hex(JSON.stringify(exclusion))).slice(0, 16);
      return change((now) => addExclusion(now, { id, exclusion, nowMs: clock() }));
    },
    deleteExclusion: (id: string): Promise<Written<null>> => change((now) => deleteExclusion(now, id)),
    addKnownGood: async (input: KnownGoodInput): Promise<Written<KnownGood>> => {
      const rule = normaliseKnownGood(input, clock());
      const id = (await sha256Hex(JSON.stringify(rule))).slice(0, 16);
      return change((now) => addKnownGood(now, { id, rule, nowMs: clock() }));
    },
    deleteKnownGood: (id: string): Promise<Written<null>> => change((now) => deleteKnownGood(now, id)),
    addPlan: (input: PlanInput): Promise<Written<Plan>> => {
      const id = crypto.randomUUID();
      return change((now) => addPlan(now, input, { id, nowMs: clock() }));
    },
    changePlan: (name: string, changes: PlanChanges): Promise<Written<Plan>> =>
      change((now) => changePlan(now, { name, changes, nowMs: clock() })),
    deletePlan: (name: string): Promise<Written<null>> => change((now) => deletePlan(now, name)),
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

function openState({ replica, primary }: Stores) {
  let cached: RegistryState | null = null;
  let writtenVersion = 0;
  const load = async (store: Store): Promise<RegistryState> => {
    const loaded = await loadState(store);
    cached = loaded;
    return loaded;
  };
  const current = async (store: Store): Promise<RegistryState> => {
    const [version] = await store.read(VERSION);
    // Replicas lag by milliseconds: whoever wrote here reads its own write, from the primary if need be.
    if (version < writtenVersion) return load(primary);
    return cached?.version === version ? cached : load(store);
  };
  const state = (): Promise<RegistryState> => current(replica);
  const change = async <T>(decide: (now: RegistryState) => Change<T>): Promise<Written<T>> => {
    for (let attempt = 1; attempt <= ATTEMPTS_MAX; attempt++) {
      const now = await current(primary);
      const { value, statements } = decide(now);
      if (statements.length === 0) return { value, changed: false, version: now.version };
      // The version column refuses null, so the whole transaction fails when somebody else wrote since `now` was read.
      const version = sql`case when ${meta.version} = ${now.version} then ${meta.version} + 1 end`;
      const guard = build.update(meta).set({ version }).where(eq(meta.id, 1));
      try {
        await primary.write([guard, ...statements]);
        writtenVersion = Math.max(writtenVersion, now.version + 1);
        return { value, changed: true, version: now.version + 1 };
      } catch (error) {
        if (!(error instanceof Error) || !error.message.includes("meta.version")) throw error;
      }
    }
    throw new PortolanError("unavailable", "the registry is being changed by others all the time; repeat in a moment");
  };
  return { change, state };
}
