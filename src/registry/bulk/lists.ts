import type { RegistryState } from "../types.ts";

/** Lists that can be read from a file and written to one. */
export const BULK_LISTS = ["range-groups", "exclusions", "known-good", "scanners", "groups", "plans"] as const;
export type BulkList = (typeof BULK_LISTS)[number];

/** Columns of each list; those that a file leaves out are empty, the first ones have to be there. */
export const BULK_COLUMNS: Readonly<Record<BulkList, readonly string[]>> = {
  "range-groups": ["range", "group"],
  exclusions: ["ranges", "ports", "owner", "reason", "expires", "range"],
  "known-good": ["ranges", "ports", "owner", "reason", "expires", "range"],
  scanners: ["name", "region", "addresses", "publicKey", "enabled", "mayProbe", "mayNotProbe"],
  groups: ["group", "scanner", "pinned"],
  plans: [
    "name",
    "include",
    "exclude",
    "ports",
    "rateLimitPps",
    "retries",
    "group",
    "engine",
    "every",
    "cron",
    "timeZone",
    "deadline",
    "closeAfter",
    "confirm",
    "homes",
    "takeoverAfter",
    "pairsMax",
    "canaries",
    "enabled",
  ],
};

type Cells = Readonly<Record<string, string>>;

/** The rows of a list as they stand in the registry: reading them back changes nothing. */
export function bulkRows(state: RegistryState, list: BulkList, group: string | null = null): Cells[] {
  switch (list) {
    case "range-groups":
      return state.rangeGroups
        .filter(({ name }) => group === null || name === group)
        .flatMap(({ name, ranges }) =>
          ranges.length === 0 ? [{ group: name, range: "" }] : ranges.map(({ canonical }) => ({ group: name, range: canonical })),
        );
    case "exclusions":
      return state.exclusions.map(ruleCells);
    case "known-good":
      return state.knownGood.map(ruleCells);
    case "scanners":
      return state.scanners.map((scanner) => ({
        name: scanner.name,
        region: scanner.region,
        addresses: scanner.addresses.join(" "),
        publicKey: scanner.publicKey,
        enabled: String(scanner.enabled),
        mayProbe: scanner.mayProbe === null ? "" : scanner.mayProbe.length === 0 ? "none" : scanner.mayProbe.join(" "),
        mayNotProbe: scanner.mayNotProbe.join(" "),
      }));
    case "groups":
      return state.groups.flatMap(({ name, members }) =>
        members.length === 0
          ? [{ group: name, scanner: "", pinned: "" }]
          : members.map(({ scanner, pinned }) => ({ group: name, scanner, pinned: pinned === null ? "" : String(pinned) })),
      );
    case "plans":
      return state.plans.map(planCells);
  }
}

/** Columns that a file of this list is written with. */
export function exportColumns(list: BulkList): readonly string[] {
  return BULK_COLUMNS[list].filter((column) => list === "range-groups" || column !== "range");
}

/** Every address of the list, one range a line: for exclude files. */
export function plainRanges(state: RegistryState, list: BulkList, group: string | null): Cells[] {
  const rows = bulkRows(state, list, group);
  const ranges = rows.flatMap((row) => (row["range"] ?? row["ranges"] ?? row["addresses"] ?? row["name"] ?? row["group"] ?? "").split(" "));
  return [...new Set(ranges)].filter((range) => range !== "").map((range) => ({ range }));
}

function ruleCells(rule: RegistryState["exclusions"][number]): Cells {
  return {
    ranges: rule.ranges.join(" "),
    ports: rule.ports ?? "",
    owner: rule.owner,
    reason: rule.reason,
    expires: rule.expiresAtMs === null ? "" : new Date(rule.expiresAtMs).toISOString(),
  };
}

function planCells(plan: RegistryState["plans"][number]): Cells {
  return {
    name: plan.name,
    include: plan.include.join(" "),
    exclude: plan.exclude.join(" "),
    ports: plan.ports,
    rateLimitPps: String(plan.rateLimitPps),
    retries: String(plan.retries),
    group: plan.group,
    engine: plan.engine,
    every: plan.intervalS === null ? "" : `${plan.intervalS}s`,
    cron: plan.cron ?? "",
    timeZone: plan.timeZone,
    deadline: `${plan.deadlineS}s`,
    closeAfter: String(plan.closeAfter),
    confirm: String(plan.confirm),
    homes: plan.homes.join(" "),
    takeoverAfter: `${plan.takeoverAfterS}s`,
    pairsMax: plan.pairsMax === null ? "" : String(plan.pairsMax),
    canaries: plan.canaries.map(({ address, port }) => (address.includes(":") ? `[${address}]:${port}` : `${address}:${port}`)).join(" "),
    enabled: String(plan.enabled),
  };
}
