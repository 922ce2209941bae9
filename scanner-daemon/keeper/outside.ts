import { zstdCompressSync } from "node:zlib";
import { z } from "zod";
import { sha256Hex } from "../../src/bus/keys.node.ts";
import { formatAddress, parseAddress } from "../../src/core/address.ts";
import { decodeSightingTable } from "../../src/core/columns.ts";
import { PortolanError } from "../../src/core/errors.ts";
import { tracerouteSchema, uploadSchema } from "../../src/core/messages/record.ts";
import type { Command } from "../../src/ledger/types.ts";
import type { KeeperDeps } from "./deps.ts";
import type { Writer } from "./writer.ts";

/** Uploads of one round: other work waits no longer than about a second. */
export const UPLOADS_PER_ROUND = 8;

const COMMANDS = ["upload", "traceroute", "add-legacy-job", "end-legacy-job"] as const;
type OutsideKind = (typeof COMMANDS)[number];
/** A command about what comes from outside. */
export type OutsideCommand = Command & { readonly kind: OutsideKind };

const addSchema = z.strictObject({
  origin: z.string().min(1).max(100),
  cidr: z.string().min(1).max(100),
  ports: z.string().min(1).max(2_000),
  protocol: z.enum(["tcp", "udp", "sctp"]),
  requestedBy: z.string().max(200),
  expiresAtMs: z.int().nullable(),
});
const endSchema = z.strictObject({ number: z.int().positive(), how: z.enum(["received", "cancelled"]) });

/** Does one of them; gives its answer, or null when a record's transaction has answered it. */
export async function runOutside(deps: KeeperDeps, writer: Writer, command: OutsideCommand): Promise<unknown> {
  switch (command.kind) {
    case "upload":
      await acceptUpload(deps, writer, command);
      return null;
    case "traceroute": {
      const content = parse(tracerouteSchema.omit({ version: true, region: true }), command);
      const destination = formatAddress(parseAddress(content.destination));
      const item = writer.own({ kind: "traceroute", content: { version: 1, ...content, destination, region: deps.region } });
      await writer.write([item], { finishes: [{ id: command.id, result: { record: item.id } }] });
      return null;
    }
    case "add-legacy-job": {
      const number = await deps.ledger.addLegacyJob(parse(addSchema, command), { epoch: writer.epoch(), nowMs: deps.nowMs() });
      return { number };
    }
    case "end-legacy-job": {
      const { number, how } = parse(endSchema, command);
      if (await deps.ledger.endLegacyJob(number, how, { epoch: writer.epoch(), nowMs: deps.nowMs() })) return { number };
      throw new PortolanError("not-found", `there is no job ${number} for other programs in region ${deps.region}`);
    }
  }
}

/** Whether a command is one of them. */
export function isOutside(command: Command): command is OutsideCommand {
  return COMMANDS.some((kind) => kind === command.kind);
}

/** Sightings without a job become a record; the same content again is the same record. */
async function acceptUpload(deps: KeeperDeps, writer: Writer, command: OutsideCommand): Promise<void> {
  const content = parse(uploadSchema, command);
  const payload = await deps.ledger.commandPayload(command.id);
  if (payload === null || payload.length !== content.payloadBytes || sha256Hex(payload) !== content.payloadSha256)
    throw new PortolanError("invalid", "the upload's bytes are not the announced ones; send it again");
  const sightings = decodeSightingTable(payload);
  if (sightings.count !== content.sightings)
    throw new PortolanError("invalid", `the upload holds ${sightings.count} sightings, not ${content.sightings}; send it again`);
  const item = { ...writer.own({ kind: "upload", content }), payload, sightings, compressed: zstdCompressSync(payload) };
  await writer.write([item], { finishes: [{ id: command.id, result: { record: item.id } }] });
}

function parse<T>(schema: z.ZodType<T>, command: Command): T {
  const parsed = schema.safeParse(command.body);
  if (parsed.success) return parsed.data;
  const issue = parsed.error.issues[0];
  throw new PortolanError(
    "invalid",
    `the command ${command.kind} is wrong: ${issue?.path.join(".") ?? ""}: ${issue?.message ?? "unreadable"}`,
  );
}
