import type { Writer } from "./audit.ts";
import type { ChangeRegistry, Subject, Written } from "./change.ts";
import { type ImportRequest, type ImportResult, importList } from "./import.ts";
import type { ResourceKind } from "./resources.ts";
import type { AddressRuleChanges } from "./rules/address-rule.ts";
import type { Change } from "./rules/change.ts";
import { type ExclusionInput, addExclusion, changeExclusion, deleteExclusion, normaliseExclusion } from "./rules/exclusions.ts";
import { type KnownGoodInput, addKnownGood, changeKnownGood, deleteKnownGood, normaliseKnownGood } from "./rules/known-good.ts";
import { type PlanChanges, type PlanInput, addPlan, changePlan, deletePlan } from "./rules/plans.ts";
import { addRangeGroup, addRanges, deleteRangeGroup, removeRanges, setRanges } from "./rules/ranges.ts";
import { type RegionFacts, addRegion, retireRegion, setHome, setRegion } from "./rules/regions.ts";
import {
  type ScannerChanges,
  type ScannerInput,
  addGroup,
  addMember,
  addScanner,
  changeScanner,
  deleteGroup,
  deleteScanner,
  removeMember,
  setMembers,
} from "./rules/scanners.ts";
import { type WebhookChanges, type WebhookInput, addWebhook, changeWebhook, deleteWebhook, rotateSecret } from "./rules/webhooks.ts";
import { sha256Hex } from "./token.ts";
import type {
  Exclusion,
  GroupMember,
  KnownGood,
  Plan,
  RangeGroup,
  Region,
  RegistryState,
  Scanner,
  ScannerGroup,
  Webhook,
} from "./types.ts";

type Force = { readonly force?: boolean };
type Ranges = { readonly group: string; readonly ranges: readonly string[] };
type Named = { readonly name: string; readonly ranges: readonly string[]; readonly allowSpecialPurpose?: boolean | undefined };
type Lab = { readonly allowLoopback?: boolean };

/** Everything that changes the registry, on behalf of one writer. */
export type Writes = ReturnType<typeof createWrites>;

/** The writes of one writer: each may be repeated, is refused as `stale` when its If-Match does not hold any more, and leaves a row in the audit log. */
export function createWrites(change: ChangeRegistry, by: Writer, clock: () => number) {
  const write = <T>(kind: ResourceKind, verb: string, key: string | null) => {
    const subject: Subject = { kind, verb, key };
    return (decide: (now: RegistryState) => Change<T>): Promise<Written<T>> => change(by, subject, decide);
  };
  return {
    ...regionWrites(change, by, clock),
    ...groupWrites(write, clock),
    ...ruleWrites(write, clock),
    ...webhookWrites(write, clock),
    addScanner: (input: ScannerInput): Promise<Written<Scanner>> =>
      write<Scanner>("scanner", "add", input.name)((now) => addScanner(now, { ...input, nowMs: clock() })),
    changeScanner: (name: string, changes: ScannerChanges): Promise<Written<Scanner>> =>
      write<Scanner>("scanner", "change", name)((now) => changeScanner(now, { name, changes })),
    deleteScanner: (name: string): Promise<Written<null>> => write<null>("scanner", "delete", name)((now) => deleteScanner(now, name)),
    addPlan: (input: PlanInput): Promise<Written<Plan>> => {
      const id = crypto.randomUUID();
      return write<Plan>("plan", "add", input.name)((now) => addPlan(now, input, { id, nowMs: clock() }));
    },
    changePlan: (name: string, changes: PlanChanges): Promise<Written<Plan>> =>
      write<Plan>("plan", "change", name)((now) => changePlan(now, { name, changes, nowMs: clock() })),
    deletePlan: (name: string): Promise<Written<null>> => write<null>("plan", "delete", name)((now) => deletePlan(now, name)),
    /** A whole list from a file: all of it or, when a line is refused, nothing. */
    importList: (request: ImportRequest): Promise<ImportResult> => importList(change, by, { request, clock }),
  };
}

type Write = <T>(
  kind: ResourceKind,
  verb: string,
  key: string | null,
) => (decide: (now: RegistryState) => Change<T>) => Promise<Written<T>>;

function regionWrites(change: ChangeRegistry, by: Writer, clock: () => number) {
  const write = (verb: string, key: string, decide: (now: RegistryState) => Change<Region>): Promise<Written<Region>> =>
    change(by, { kind: "region", verb, key }, decide);
  return {
    addRegion: (name: string, facts: RegionFacts = {}): Promise<Written<Region>> =>
      write("add", name, (now) => addRegion(now, { name, facts, nowMs: clock() })),
    setRegion: (name: string, facts: RegionFacts, { force = false }: Force = {}): Promise<Written<Region>> =>
      write("change", name, (now) => setRegion(now, { name, facts, force })),
    retireRegion: (name: string, { force = false }: Force = {}): Promise<Written<Region>> =>
      write("retire", name, (now) => retireRegion(now, { name, force })),
    /** Says which region holds the primary; moving the primary itself is another matter. */
    setHome: (name: string): Promise<Written<string>> =>
      change(by, { kind: "registry", verb: "set-home", key: "home", sides: (now) => ({ before: now.home, after: name }) }, (now) =>
        setHome(now, name),
      ),
  };
}

function groupWrites(write: Write, clock: () => number) {
  return {
    addGroup: (input: { name: string; members: readonly GroupMember[] }): Promise<Written<ScannerGroup>> =>
      write<ScannerGroup>("group", "add", input.name)((now) => addGroup(now, { ...input, nowMs: clock() })),
    setMembers: (input: { group: string; members: readonly GroupMember[] }): Promise<Written<ScannerGroup>> =>
      write<ScannerGroup>("group", "change", input.group)((now) => setMembers(now, input)),
    addMember: (input: { group: string; member: GroupMember }): Promise<Written<ScannerGroup>> =>
      write<ScannerGroup>("group", "change", input.group)((now) => addMember(now, input)),
    removeMember: (input: { group: string; scanner: string }): Promise<Written<ScannerGroup>> =>
      write<ScannerGroup>("group", "change", input.group)((now) => removeMember(now, input)),
    deleteGroup: (name: string): Promise<Written<null>> => write<null>("group", "delete", name)((now) => deleteGroup(now, name)),
    addRangeGroup: (input: Named): Promise<Written<RangeGroup>> =>
      write<RangeGroup>("range-group", "add", input.name)((now) => addRangeGroup(now, { ...input, nowMs: clock() })),
    deleteRangeGroup: (name: string): Promise<Written<null>> =>
      write<null>("range-group", "delete", name)((now) => deleteRangeGroup(now, name)),
    addRanges: (input: Ranges): Promise<Written<RangeGroup>> =>
      write<RangeGroup>("range-group", "change", input.group)((now) => addRanges(now, input)),
    removeRanges: (input: Ranges): Promise<Written<RangeGroup>> =>
      write<RangeGroup>("range-group", "change", input.group)((now) => removeRanges(now, input)),
    setRanges: (input: Ranges): Promise<Written<RangeGroup>> =>
      write<RangeGroup>("range-group", "change", input.group)((now) => setRanges(now, input)),
  };
}

function ruleWrites(write: Write, clock: () => number) {
  return {
    addExclusion: async (input: ExclusionInput): Promise<Written<Exclusion>> => {
      const exclusion = normaliseExclusion(input, clock());
      const id = await idOf(exclusion);
      return write<Exclusion>("exclusion", "add", null)((now) => addExclusion(now, { id, exclusion, nowMs: clock() }));
    },
    changeExclusion: (id: string, changes: AddressRuleChanges): Promise<Written<Exclusion>> =>
      write<Exclusion>("exclusion", "change", id)((now) => changeExclusion(now, { id, changes, nowMs: clock() })),
    deleteExclusion: (id: string): Promise<Written<null>> => write<null>("exclusion", "delete", id)((now) => deleteExclusion(now, id)),
    addKnownGood: async (input: KnownGoodInput): Promise<Written<KnownGood>> => {
      const rule = normaliseKnownGood(input, clock());
      const id = await idOf(rule);
      return write<KnownGood>("known-good", "add", null)((now) => addKnownGood(now, { id, rule, nowMs: clock() }));
    },
    changeKnownGood: (id: string, changes: AddressRuleChanges): Promise<Written<KnownGood>> =>
      write<KnownGood>("known-good", "change", id)((now) => changeKnownGood(now, { id, changes, nowMs: clock() })),
    deleteKnownGood: (id: string): Promise<Written<null>> => write<null>("known-good", "delete", id)((now) => deleteKnownGood(now, id)),
  };
}

function webhookWrites(write: Write, clock: () => number) {
  return {
    /** The value holds the secret, which is shown this once. */
    addWebhook: (input: WebhookInput, { allowLoopback = false }: Lab = {}): Promise<Written<Webhook>> => {
      const secret = newSecret();
      return write<Webhook>("webhook", "add", input.name)((now) => addWebhook(now, input, { nowMs: clock(), secret, allowLoopback }));
    },
    changeWebhook: (name: string, changes: WebhookChanges, { allowLoopback = false }: Lab = {}): Promise<Written<Webhook>> =>
      write<Webhook>("webhook", "change", name)((now) => changeWebhook(now, { name, changes, allowLoopback })),
    rotateWebhookSecret: (name: string): Promise<Written<Webhook>> => {
      const secret = newSecret();
      return write<Webhook>("webhook", "rotate-secret", name)((now) => rotateSecret(now, { name, secret, nowMs: clock() }));
    },
    deleteWebhook: (name: string): Promise<Written<null>> => write<null>("webhook", "delete", name)((now) => deleteWebhook(now, name)),
  };
}

async function idOf(content: object): Promise<string> {
  return (await sha256Hex(JSON.stringify(content))).slice(0, 16);
}

/** 192 random bits in the spelling of Standard Webhooks. */
function newSecret(): string {
  return `whsec_${btoa(String.fromCharCode(...crypto.getRandomValues(new Uint8Array(24))))}`;
}
