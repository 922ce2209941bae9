import { expect, test } from "vitest";
import { createRules } from "../../../scanner-daemon/keeper/rules.ts";
import { formatPorts } from "../../../src/core/port.ts";
import { rangesText } from "../../../src/core/range.ts";
import type { RuleKind, RuleSet } from "../../../src/ledger/rules.ts";
import { resolveSnapshot } from "../../../src/registry/rules/resolve.ts";
import type { KnownGood, RegistryState } from "../../../src/registry/types.ts";
import { regionOf } from "../../registry/harness.ts";
import { planOf } from "./world.ts";

const RULE: KnownGood = { id: "k1", ranges: ["192.0.2.10"], ports: "443", owner: "o", reason: "r", expiresAtMs: 1_000, createdAtMs: 0 };

const STATE: RegistryState = {
  version: 1,
  home: null,
  regions: [regionOf("eu")],
  scanners: [],
  groups: [],
  rangeGroups: [{ name: "lan", builtIn: false, ranges: [{ canonical: "192.0.2.0/27", text: "192.0.2.0/27" }] }],
  exclusions: [],
  knownGood: [],
  plans: [planOf({})],
  webhooks: [],
};

type Call = { readonly kind: RuleKind; readonly version: number; readonly targets: readonly string[]; readonly epoch: number };

function mirror() {
  const now = { state: STATE, nowMs: 0, epoch: 1, fails: false };
  const calls: Call[] = [];
  const applyRules = async (kind: RuleKind, { version, targets }: RuleSet, { epoch }: { epoch: number }): Promise<void> => {
    if (now.fails) throw new Error("the ledger is away");
    const texts = targets.map(({ ranges, ports }) => `${rangesText([...ranges]).join()} ${formatPorts([...ports])}`);
    calls.push({ kind, version, targets: texts, epoch });
  };
  const rules = createRules({
    ledger: { applyRules },
    writer: { epoch: () => now.epoch },
    snapshots: { current: () => resolveSnapshot(now.state, now.nowMs) },
  });
  return { now, calls, rules };
}

test("a rule is handed over once, anew when it changes or ends, and again after the lease was away", async () => {
  const { now, calls, rules } = mirror();
  const known = (): Call[] => calls.filter(({ kind }) => kind === "known-good");
  await rules.apply();
  await rules.apply();
  expect(known()).toEqual([{ kind: "known-good", version: now.state.version, targets: [], epoch: 1 }]);
  now.state = { ...now.state, version: now.state.version + 1, knownGood: [RULE] };
  await rules.apply();
  expect(known().at(-1)).toMatchObject({ version: now.state.version, targets: ["192.0.2.10 443"] });
  now.nowMs = 1_000;
  await rules.apply();
  expect(known().at(-1)).toMatchObject({ version: now.state.version, targets: [] });
  now.epoch = 3;
  await rules.apply();
  await rules.apply();
  expect(known().map(({ epoch }) => epoch)).toEqual([1, 1, 1, 3]);
});

test("what could not be handed over is handed over the next time", async () => {
  const { now, calls, rules } = mirror();
  now.fails = true;
  await expect(rules.apply()).rejects.toThrow("away");
  now.fails = false;
  await rules.apply();
  expect(calls).toHaveLength(2);
});

test("monitored is what enabled plans scan: without exclusions, and without disabled plans", async () => {
  const { now, calls, rules } = mirror();
  const monitored = (): readonly string[] => calls.findLast(({ kind }) => kind === "monitored")?.targets ?? [];
  const edit = (over: Partial<RegistryState>): void => void (now.state = { ...now.state, ...over, version: now.state.version + 1 });
  await rules.apply();
  const before = monitored();
  expect(before.length).toBeGreaterThan(0);
  edit({ plans: now.state.plans.map((plan) => ({ ...plan, enabled: false })) });
  await rules.apply();
  expect(monitored()).toEqual([]);
  const [first] = resolveSnapshot(now.state, 0).plans;
  const ranges = rangesText([...(first?.includeRanges ?? [])]);
  edit({
    plans: now.state.plans.map((plan) => ({ ...plan, enabled: true })),
    exclusions: [{ id: "e", ranges, ports: null, owner: "o", reason: "r", expiresAtMs: 2_000, createdAtMs: 0 }],
  });
  await rules.apply();
  expect(monitored()).toEqual([]);
  now.nowMs = 2_000;
  await rules.apply();
  expect(monitored()).toEqual(before);
});
