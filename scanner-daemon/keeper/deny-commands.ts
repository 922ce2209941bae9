import { z } from "zod";
import { PortolanError } from "../../src/core/errors.ts";
import { digestSchema, timeMsSchema } from "../../src/core/messages/common.ts";
import { DENY_RANGES_MAX } from "../../src/core/messages/record.ts";
import { formatPorts, parsePorts } from "../../src/core/port.ts";
import { normaliseRanges, parseRange, rangesText } from "../../src/core/range.ts";
import { deniedText } from "../../src/core/denied.ts";
import type { KeeperDeps } from "./deps.ts";
import type { Writer } from "./writer.ts";

/** What the API asks for. */
export const denyOrderSchema = z.strictObject({
  ranges: z.array(z.string().max(100)).min(1).max(DENY_RANGES_MAX),
  ports: z.string().max(20_000).nullable().default(null),
  reason: z.string().max(300),
  by: z.string().max(200).default(""),
  expiresAtMs: timeMsSchema.nullable().default(null),
});
export const liftOrderSchema = z.strictObject({
  deny: digestSchema,
  reason: z.string().max(300).default(""),
  by: z.string().max(200).default(""),
});

/** The list goes to every scanner in one message. */
const DENIED_CHARS_MAX = 400_000;

type Services = { readonly writer: Writer };

/** Commits a deny. Any region may; nothing of the registry is needed. */
export async function deny(
  deps: KeeperDeps,
  { writer }: Services,
  { id, order }: { readonly id: string; readonly order: z.infer<typeof denyOrderSchema> },
): Promise<void> {
  const nowMs = deps.nowMs();
  if (order.expiresAtMs !== null && order.expiresAtMs <= nowMs) {
    throw new PortolanError(
      "invalid",
      `the deny would have ended at ${new Date(order.expiresAtMs).toISOString()}; give a later time or none`,
    );
  }
  const ranges = rangesText(normaliseRanges(order.ranges.map((text) => parseRange(text.trim()))));
  if (ranges.length > DENY_RANGES_MAX) {
    throw new PortolanError("too-large", `a deny holds at most ${DENY_RANGES_MAX} ranges; deny a larger network, or make several`);
  }
  const ports = order.ports === null ? null : formatPorts(parsePorts(order.ports));
  const held = JSON.stringify(deniedText((await deps.ledger.denied(nowMs)).pairs)).length;
  if (held + JSON.stringify({ ranges, ports }).length > DENIED_CHARS_MAX) {
    throw new PortolanError("conflict", "too much is denied already; lift what is no longer needed, or deny larger networks instead");
  }
  const { reason, by, expiresAtMs } = order;
  const item = writer.own({ kind: "deny", content: { version: 1, ranges, ports, reason, by, expiresAtMs, atMs: nowMs } });
  await writer.write([item], { finishes: [{ id, result: { deny: item.id } }] });
  deps.log.warning(`denied from now on: ${ranges.slice(0, 5).join(", ")}${ports === null ? "" : ` ports ${ports}`}`, { by, reason });
}

/** Ends a deny. Lifting twice is lifting once; so is lifting what has ended by the clock. */
export async function liftDeny(
  deps: KeeperDeps,
  { writer }: Services,
  { id, order }: { readonly id: string; readonly order: z.infer<typeof liftOrderSchema> },
): Promise<void> {
  const row = await deps.ledger.deny(order.deny);
  if (row === null) {
    throw new PortolanError("not-found", `there is no deny ${order.deny} in region ${deps.region}; "portolan deny ls" lists them`);
  }
  const result = { deny: row.id };
  if (row.lifted !== null) {
    await deps.ledger.finishCommand(id, { ok: true, result }, { epoch: writer.epoch(), nowMs: deps.nowMs() });
    return;
  }
  const item = writer.own({ kind: "deny-lift", content: { version: 1, ...order, atMs: deps.nowMs() } });
  await writer.write([item], { finishes: [{ id, result }] });
  deps.log.warning(`a deny was lifted: ${row.ranges.slice(0, 5).join(", ")}`, { by: order.by });
}
