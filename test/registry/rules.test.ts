import { createClient } from "@libsql/client/web";
import fc from "fast-check";
import { expect, test } from "vitest";
import { PortolanError } from "../../src/core/errors.ts";
import { parseRange } from "../../src/core/range.ts";
import { type Change } from "../../src/registry/rules/change.ts";
import { addPlan, changePlan, deletePlan } from "../../src/registry/rules/plans.ts";
import { addRangeGroup, addRanges, deleteRangeGroup, removeRanges } from "../../src/registry/rules/ranges.ts";
import { allGroups, allRangeGroups, resolveSnapshot } from "../../src/registry/rules/resolve.ts";
import { addGroup, addMember, addScanner, deleteGroup, deleteScanner, removeMember } from "../../src/registry/rules/scanners.ts";
import type { Registry } from "../../src/registry/registry.ts";
import type { RegistryState } from "../../src/registry/types.ts";
import { type TestRegistry, planInput, publicKey, startTestRegistry } from "./harness.ts";

type Step = {
  readonly text: string;
  readonly write: (registry: Registry) => Promise<unknown>;
  readonly rule: (state: RegistryState) => Change<unknown>;
};

const group = fc.constantFrom("a", "b", "c");
const scanner = fc.constantFrom(0, 1, 2);
const ranges = fc.array(
  fc.constantFrom("203.0.113.0/24", "203.0.113.128/25", "203.0.112.0/24", "203.0.112.0/23", "203.0.114.1", "2001:db8::/120"),
  {
    minLength: 1,
    maxLength: 2,
  },
);
const pinned = fc.constantFrom(null, 1, 2);
const nowMs = 1;

const steps: fc.Arbitrary<Step> = fc.oneof(
  fc.tuple(group, ranges).map(([name, list]): Step => ({
    text: `range group ${name} ${list.join()}`,
    write: (r) => r.addRangeGroup({ name, ranges: list }),
    rule: (s) => addRangeGroup(s, { name, ranges: list, nowMs }),
  })),
  group.map((name): Step => ({
    text: `no range group ${name}`,
    write: (r) => r.deleteRangeGroup(name),
    rule: (s) => deleteRangeGroup(s, name),
  })),
  fc.tuple(group, ranges).map(([name, list]): Step => ({
    text: `ranges ${name} ${list.join()}`,
    write: (r) => r.addRanges({ group: name, ranges: list }),
    rule: (s) => addRanges(s, { group: name, ranges: list }),
  })),
  fc.tuple(group, ranges).map(([name, list]): Step => ({
    text: `no ranges ${name} ${list.join()}`,
    write: (r) => r.removeRanges({ group: name, ranges: list }),
    rule: (s) => removeRanges(s, { group: name, ranges: list }),
  })),
  scanner.map((n): Step => {
    const input = { name: `s${n}`, region: "eu", addresses: [`192.0.2.${n}`], publicKey: publicKey(n) };
    return { text: `scanner ${n}`, write: (r) => r.addScanner(input), rule: (s) => addScanner(s, { ...input, nowMs }) };
  }),
  scanner.map((n): Step => ({ text: `no scanner ${n}`, write: (r) => r.deleteScanner(`s${n}`), rule: (s) => deleteScanner(s, `s${n}`) })),
  group.map((name): Step => ({
    text: `group ${name}`,
    write: (r) => r.addGroup({ name, members: [] }),
    rule: (s) => addGroup(s, { name, members: [], nowMs }),
  })),
  group.map((name): Step => ({ text: `no group ${name}`, write: (r) => r.deleteGroup(name), rule: (s) => deleteGroup(s, name) })),
  fc.tuple(group, scanner, pinned).map(([name, n, place]): Step => {
    const input = { group: name, member: { scanner: `s${n}`, pinned: place } };
    return { text: `member ${name} ${n} ${place}`, write: (r) => r.addMember(input), rule: (s) => addMember(s, input) };
  }),
  fc.tuple(group, scanner).map(([name, n]): Step => ({
    text: `no member ${name} ${n}`,
    write: (r) => r.removeMember({ group: name, scanner: `s${n}` }),
    rule: (s) => removeMember(s, { group: name, scanner: `s${n}` }),
  })),
  fc.tuple(group, group, fc.constantFrom("@all", "a", "b")).map(([name, include, members]): Step => {
    const input = planInput({ name, include: [include], group: members });
    return {
      text: `plan ${name} ${include} ${members}`,
      write: (r) => r.addPlan(input),
      rule: (s) => addPlan(s, input, { id: name, nowMs }),
    };
  }),
  group.map((name): Step => {
    const input = planInput({ name, ranges: ["203.0.113.0/24"] });
    return { text: `own plan ${name}`, write: (r) => r.addPlan(input), rule: (s) => addPlan(s, input, { id: name, nowMs }) };
  }),
  fc.tuple(group, group, fc.boolean()).map(([name, include, enabled]): Step => {
    const changes = { include: [include], enabled };
    return {
      text: `change plan ${name} ${include} ${enabled}`,
      write: (r) => r.changePlan(name, changes),
      rule: (s) => changePlan(s, { name, changes, nowMs }),
    };
  }),
  group.map((name): Step => ({ text: `no plan ${name}`, write: (r) => r.deletePlan(name), rule: (s) => deletePlan(s, name) })),
);

function expectSound(state: RegistryState): void {
  const rangeGroups = allRangeGroups(state).map(({ name }) => name);
  const scanners = state.scanners.map(({ name }) => name);
  for (const { ranges: entries } of state.rangeGroups) {
    const parsed = entries.map((entry) => parseRange(entry.canonical));
    for (const [index, entry] of parsed.entries()) expect(entry.first > (parsed[index - 1]?.last ?? -1n)).toBe(true);
  }
  for (const { members } of state.groups) expect(scanners).toEqual(expect.arrayContaining(members.map((member) => member.scanner)));
  for (const plan of state.plans) {
    expect(rangeGroups).toEqual(expect.arrayContaining([...plan.include, ...plan.exclude]));
    expect(allGroups(state).map(({ name }) => name)).toContain(plan.group);
  }
  for (const plan of resolveSnapshot(state, nowMs).plans) expect(plan.includeRanges.length).toBeGreaterThan(0);
}

test("after any sequence of edits no plan names a thing that is gone, no group overlaps itself, refused edits leave no trace and repeats change nothing", async () => {
  const store = await startTestRegistry();
  try {
    await fc.assert(
      fc.asyncProperty(fc.array(steps, { minLength: 10, maxLength: 25 }), async (sequence) => {
        const { registry } = store;
        await reset(store);
        for (const step of sequence) {
          const before = await registry.state();
          try {
            await step.write(registry);
          } catch (error) {
            if (!(error instanceof PortolanError) || error.code === "internal" || error.code === "unavailable") throw error;
            expect(await registry.state(), step.text).toEqual(before);
            continue;
          }
          const after = await registry.state();
          expect(after.version - before.version, step.text).toBeLessThanOrEqual(1);
          expectSound(after);
          // Deletions say "not found" the second time; everything else is done already.
          if (!step.text.startsWith("no ")) expect(step.rule(after).statements, step.text).toEqual([]);
        }
      }),
      { numRuns: 25 },
    );
  } finally {
    await store.close();
  }
});

async function reset({ registry, sqld }: TestRegistry): Promise<void> {
  const client = createClient({ url: sqld.url });
  const tables = ["scanner", "scanner_group", "group_member", "range_group", "range", "plan"];
  await client.batch([...tables.map((table) => `delete from ${table}`), "update meta set version = version + 1"], "write");
  client.close();
  await registry.addRegion("eu");
  // Something to break: a plan with everything that it stands on.
  for (const n of [0, 1]) await registry.addScanner({ name: `s${n}`, region: "eu", addresses: [`192.0.2.${n}`], publicKey: publicKey(n) });
  await registry.addGroup({ name: "a", members: [{ scanner: "s0", pinned: null }] });
  await registry.addRangeGroup({ name: "a", ranges: ["203.0.113.0/24"] });
  await registry.addPlan(planInput({ name: "b", include: ["a"], group: "a" }));
}
