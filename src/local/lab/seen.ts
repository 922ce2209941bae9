import { z } from "zod";
import { runCommand } from "./command.ts";
import type { Seen } from "./playground.ts";
import { seenRules } from "./rules.ts";

/** `nft -j list set`, as far as it is read here. */
const setSchema = z.object({
  nftables: z.array(
    z.object({
      set: z
        .object({
          elem: z
            .array(
              z.object({
                elem: z.object({
                  val: z.object({ concat: z.tuple([z.string(), z.union([z.string(), z.number()]), z.number()]) }),
                  counter: z.object({ packets: z.number() }),
                }),
              }),
            )
            .optional(),
        })
        .optional(),
    }),
  ),
});

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
    for (const entry of setSchema.parse(JSON.parse(text)).nftables) {
      for (const { elem } of entry.set?.elem ?? []) {
        const [address, protocol, port] = elem.val.concat;
        packets.set(`${PROTOCOL_NAMES[protocol] ?? protocol}\t${address}\t${port}`, elem.counter.packets);
      }
    }
  }
  return { packets, raw: `[${raw.join(",\n")}]\n`, isWhole: true };
}
