import type { Effective } from "../messages/report.ts";
import { effectiveSchema } from "../messages/report.ts";
import { formatPorts, parsePorts } from "../port.ts";
import { parseRange, type AddressRange } from "../range.ts";
import type { Sha256Hex } from "../statement.ts";
import { wholeAddress } from "./address.ts";
import { rangesDigest } from "./argv.ts";

/** What masscan would do with its arguments, or why that cannot be told. */
export type MasscanEcho =
  | { readonly kind: "effective"; readonly effective: Effective }
  | { readonly kind: "problem"; readonly reason: string };

/** Reads what `masscan … --echo` printed: the values it would really use, among them replaced bad ones. Never throws. */
export function parseEcho(text: string, options: { readonly version: string; readonly sha256: Sha256Hex }): MasscanEcho {
  const single = new Map<string, string>();
  const ranges: AddressRange[] = [];
  try {
    for (const line of text.split("\n")) {
      const found = /^([a-z0-9-]+) = (.*)$/.exec(line);
      const [, name = "", value = ""] = found ?? [];
      if (name === "range") ranges.push(parseRange(value.trim().split("-").map(wholeAddress).join("-")));
      else if (name === "exclude") return problem("masscan excludes ranges of its own; remove them from its configuration");
      else if (name !== "") single.set(name, value.trim());
    }
    return toEffective(single, rangesDigest(ranges, options.sha256), options.version);
  } catch (error) {
    return problem(error instanceof Error ? error.message : String(error));
  }
}

function toEffective(values: ReadonlyMap<string, string>, rangesSha256: string, version: string): MasscanEcho {
  const shard = /^(\d{1,9})\/(\d{1,9})$/.exec(values.get("shard") ?? "");
  const rate = values.get("rate") ?? "";
  const parsed = effectiveSchema.safeParse({
    seed: values.get("seed"),
    rateLimitPps: /^\d+(\.\d+)?$/.test(rate) ? Number(rate) : null,
    shard: Number(shard?.[1]),
    shardCount: Number(shard?.[2]),
    // masscan 1.3.2 prints retries only when there are any.
    retries: Number(values.get("retries") ?? "0"),
    ports: formatPorts(parsePorts(values.get("ports") ?? "")),
    rangesSha256,
    version,
  });
  if (parsed.success) return { kind: "effective", effective: parsed.data };
  return problem(`its echo lacks a usable ${parsed.error.issues.map((issue) => issue.path.join(".")).join(", ")}`);
}

/** Version (`1.3.2`) in what `masscan --version` printed; null when there is none. */
export function parseMasscanVersion(text: string): string | null {
  return /Masscan version (\d{1,4}\.\d{1,4}(?:\.[0-9A-Za-z-]{1,20})?)/i.exec(text)?.[1] ?? null;
}

/** `1.3` of `1.3.2`: within a family masscan numbers and shuffles the pairs alike. */
export function versionFamily(version: string): string {
  return version.split(".").slice(0, 2).join(".");
}

/** Families whose mapping has been checked on the wire; results of others are sightings only. */
export const TESTED_FAMILIES: readonly string[] = ["1.3"];

function problem(reason: string): MasscanEcho {
  return { kind: "problem", reason };
}
