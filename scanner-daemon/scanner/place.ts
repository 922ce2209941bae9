import type { Canary } from "../../src/core/messages/job.ts";
import { capture, type Launch } from "./launch.ts";
import type { Prober } from "./prober-client.ts";

const TOOL_TIMEOUT_MS = 10_000;
const CANARY_TIMEOUT_MS = 2_000;

/** Offloads that make masscan's receive ring so small that it loses answers; names as ethtool prints and sets them. */
const OFFLOADS = [
  ["generic-receive-offload", "gro"],
  ["generic-segmentation-offload", "gso"],
  ["tcp-segmentation-offload", "tso"],
  ["large-receive-offload", "lro"],
] as const;

/** State of the offloads of one interface, or why it cannot be told. */
export type Offloads = { readonly kind: "known"; readonly on: readonly string[] } | { readonly kind: "problem"; readonly reason: string };

/** Asks ethtool, through the launcher. Never throws. */
export async function readOffloads(how: Launch, interfaceName: string): Promise<Offloads> {
  const said = await capture(how, [how.tools.ethtool, "-k", interfaceName], { timeoutMs: TOOL_TIMEOUT_MS });
  if (said.problem !== null || said.code !== 0) {
    return { kind: "problem", reason: `ethtool -k ${interfaceName} failed: ${said.problem ?? said.stderr.trim().slice(0, 200)}` };
  }
  const states = new Map(said.stdout.split("\n").map((line) => line.trim().split(": ") as [string, string | undefined]));
  return { kind: "known", on: OFFLOADS.filter(([name]) => states.get(name)?.startsWith("on") === true).map(([, short]) => short) };
}

/** The exact line that turns offloads off. */
export function ethtoolRemedy(how: Launch, interfaceName: string, on: readonly string[]): string {
  return [...how.launcher, "ethtool", "-K", interfaceName, ...on.flatMap((name) => [name, "off"])].join(" ");
}

/** Connects to the canaries, each up to twice; a canary that cannot be asked has not answered. Never throws. */
export async function askCanaries(prober: Prober, canaries: readonly Canary[]): Promise<{ asked: number; answered: number }> {
  const asked = canaries.length;
  if (asked === 0) return { asked, answered: 0 };
  try {
    const pairs = canaries.map(({ address, port }) => [address, port] as const);
    const settings = { timeoutMs: CANARY_TIMEOUT_MS, parallel: 16, ratePps: 100, retries: 1 };
    const { answers } = await prober.connect(pairs, settings, 4 * CANARY_TIMEOUT_MS);
    return { asked, answered: answers.replaceAll(/[^o]/g, "").length };
  } catch {
    return { asked, answered: 0 };
  }
}
