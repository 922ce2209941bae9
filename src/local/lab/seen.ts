import { z } from "zod";
import { PortolanError } from "../../core/errors.ts";
import { runCommand } from "./command.ts";
import type { Seen } from "./playground.ts";
import { seenRules } from "./rules.ts";

/** `nft -j list set`, as far as it is read here. */
const listingSchema = z.object({ nftables: z.array(z.object({ set: z.object({ elem: z.array(z.unknown()).optional() }).optional() })) });

/** One element of a listing; only its type, because a schema for each of 100,000 elements costs seconds. */
type Element = {
  readonly elem?: { readonly val?: { readonly concat?: readonly unknown[] }; readonly counter?: { readonly packets?: unknown } };
};

function readElement(element: unknown): readonly [key: string, packets: number] {
  const { val, counter } = (element as Element).elem ?? {};
  const [address, protocol, port] = val?.concat ?? [];
  const packets = counter?.packets;
  if (typeof address !== "string" || typeof port !== "number" || typeof packets !== "number") {
    throw new PortolanError("unavailable", `nft lists a probe in a form that is not known here: ${JSON.stringify(element).slice(0, 200)}`);
  }
  return [`${PROTOCOL_NAMES[String(protocol)] ?? String(protocol)}\t${address}\t${port}`, packets];
}

const PROTOCOL_NAMES: Readonly<Record<string, string>> = { 6: "tcp", 17: "udp" };

/** Begins to count every probe that arrives in the target namespace, from zero. */
export async function startSeen(target: readonly string[]): Promise<void> {
  await runCommand([...target, "nft", "-f", "-"], seenRules());
}

/** Reads what has been counted since `startSeen`; counting goes on. */
export async function readSeen(target: readonly string[]): Promise<Seen> {
  const packets = new Map<string, number>();
  const raw: string[] = [];
  for (const set of ["s4", "s6"]) {
    const text = await runCommand([...target, "nft", "-j", "-n", "list", "set", "inet", "seen", set]);
    raw.push(text.trim());
    for (const { set: listed } of listingSchema.parse(JSON.parse(text)).nftables) {
      for (const element of listed?.elem ?? []) packets.set(...readElement(element));
    }
  }
  return { packets, raw: `[${raw.join(",\n")}]\n`, isWhole: true };
}
