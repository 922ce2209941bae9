import { publicKeyOf } from "../../src/bus/keys.node.ts";
import type { Plan, RegistryState } from "../../src/registry/types.ts";
import { regionOf } from "../registry/harness.ts";
import type { Scenario, ScenarioPlan } from "./scenario.ts";

/** Key seeds of a region. */
export type Keys = { readonly keeper: string; readonly scanners: Readonly<Record<string, string>> };

/** The configuration that a scenario asks for. */
export function registryOf(scenario: Scenario, keys: Keys, nowMs: number): RegistryState {
  return {
    version: 1,
    home: null,
    regions: [regionOf("eu", { createdAtMs: nowMs })],
    scanners: scenario.scanners.map((name) => ({
      name,
      region: "eu",
      addresses: ["203.0.113.1"],
      publicKey: publicKeyOf(keys.scanners[name] ?? ""),
      enabled: true,
      mayProbe: null,
      mayNotProbe: [],
      createdAtMs: nowMs,
    })),
    groups: [],
    rangeGroups: scenario.plans.map((plan, index) => ({
      name: `ranges${index}`,
      builtIn: false,
      ranges: plan.ranges.map((text) => ({ canonical: text, text })),
    })),
    exclusions: [],
    knownGood: [],
    plans: scenario.plans.map((plan, index) => planOf(scenario, plan, { index, nowMs })),
    webhooks: [],
  };
}

function planOf(scenario: Scenario, plan: ScenarioPlan, { index, nowMs }: { index: number; nowMs: number }): Plan {
  return {
    id: `plan-${index}`,
    name: `plan${index}`,
    revision: 0,
    enabled: true,
    include: [`ranges${index}`],
    exclude: [],
    ports: plan.ports,
    rateLimitPps: 1_000,
    retries: 0,
    group: "@all",
    engine: plan.engine,
    intervalS: plan.intervalS,
    cron: null,
    timeZone: "UTC",
    deadlineS: scenario.deadlineS,
    closeAfter: plan.closeAfter,
    confirm: plan.confirm,
    home: "eu",
    homes: ["eu"],
    takeoverAfterS: 900,
    pairsMax: plan.pairsMax,
    canaries: scenario.canaries.map(({ address, port }) => ({ address, port })),
    ownGroup: null,
    createdAtMs: nowMs,
  };
}
