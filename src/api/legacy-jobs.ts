import { z } from "@hono/zod-openapi";
import { PortolanError } from "../core/errors.ts";
import { formatPorts, intersectPorts, parsePorts, type PortRange } from "../core/port.ts";
import { type AddressRange, formatRange, intersectRanges, normaliseRanges, parseRange, subtractRanges } from "../core/range.ts";
import { allRangeGroups, rangesOfGroup } from "../registry/rules/resolve.ts";
import type { RegistryState } from "../registry/types.ts";
import { askKeeper } from "./command.ts";
import { type ApiDeps, found, newApi } from "./context.ts";
import { body, createRoute, deletedSchema, json } from "./define.ts";
import { durationSchema, parseDuration } from "./duration.ts";
import { closePage, openPage, pageQuery, pageSchema } from "./page.ts";

const TAGS = ["old program"];
const jobSchema = z
  .object({
    number: z.int().openapi({ description: "of this region, never given twice" }),
    cidr: z.string(),
    ports: z.string(),
    protocol: z.enum(["tcp", "udp", "sctp"]),
    requestedBy: z.string(),
    state: z.enum(["open", "received", "cancelled", "expired"]),
    createdAtMs: z.int(),
    expiresAtMs: z.int().nullable(),
    receivedAtMs: z.int().nullable(),
  })
  .openapi("LegacyJob");
const newSchema = z.strictObject({
  cidr: z.string().min(1).max(100),
  ports: z.string().min(1).max(2_000).openapi({ description: "numbers and runs of the one protocol, such as 22,80,1000-2000" }),
  protocol: z.enum(["tcp", "udp", "sctp"]).default("tcp"),
  expiresIn: durationSchema.nullable().default(null),
  origin: z
    .string()
    .regex(/^[\w.:-]{1,80}$/)
    .optional()
    .openapi({ description: "the same origin gives the job that is there already" }),
});
const numberParam = { params: z.object({ number: z.string().regex(/^[1-9]\d{0,14}$/, "a job's number") }) };

const list = createRoute({
  method: "get",
  path: "/v1/legacy-jobs",
  tags: TAGS,
  request: { query: z.strictObject(pageQuery) },
  responses: { 200: json(pageSchema(jobSchema), "Jobs for programs of the old kind, by number") },
});
const add = createRoute({
  method: "post",
  path: "/v1/legacy-jobs",
  tags: TAGS,
  request: body(newSchema),
  responses: { 201: json(jobSchema, "Listed at GET /jobs until the first results come") },
});
const cancel = createRoute({
  method: "delete",
  path: "/v1/legacy-jobs/{number}",
  tags: TAGS,
  request: numberParam,
  responses: { 200: json(deletedSchema, "Listed no more; results for it are refused") },
});

/** Jobs that scripts of the old program fetch and answer. */
export function legacyJobRoutes(deps: ApiDeps) {
  const { registry, ledger, clock } = deps;
  return newApi()
    .openapi(list, async (c) => {
      const page = openPage(c.req.path, c.req.valid("query"));
      const after = Number(page.after ?? "0");
      const rows = await ledger.legacyJobs({ nowMs: clock(), after: Number.isSafeInteger(after) ? after : 0, limit: page.limit + 1 });
      const items = rows.slice(0, page.limit);
      const last = items.at(-1);
      return c.json(closePage(c, page, { items, next: rows.length > page.limit && last !== undefined ? String(last.number) : null }), 200);
    })
    .openapi(add, async (c) => {
      const { cidr, ports, protocol, expiresIn, origin = `api:${crypto.randomUUID()}` } = c.req.valid("json");
      const target = checkTarget(await registry.state(), { cidr, ports, protocol }, clock());
      const expiresAtMs = expiresIn === null ? null : clock() + parseDuration(expiresIn) * 1_000;
      const wish = { ...target, protocol, origin, requestedBy: c.get("token").name, expiresAtMs };
      const { number } = z.object({ number: z.int() }).parse(await askKeeper(deps, "add-legacy-job", wish));
      return c.json(found(await ledger.legacyJob(number, clock()), "job", String(number), "/v1/legacy-jobs"), 201);
    })
    .openapi(cancel, async (c) => {
      const { number } = c.req.valid("param");
      found(await ledger.legacyJob(Number(number), clock()), "job", number, "/v1/legacy-jobs");
      await askKeeper(deps, "end-legacy-job", { number: Number(number), how: "cancelled" });
      return c.json({ deleted: number }, 200);
    });
}

type Wish = Pick<z.infer<typeof newSchema>, "cidr" | "ports" | "protocol">;

/** The old program's scripts know no exclusions: what they are given must lie inside the registered ranges and touch nothing excluded. */
function checkTarget(state: RegistryState, { cidr, ports, protocol }: Wish, nowMs: number): { cidr: string; ports: string } {
  const range = parseRange(cidr);
  const numbers = parsePorts(ports);
  if (numbers.some((run) => run.protocol !== "tcp"))
    throw new PortolanError("invalid", 'write the ports without "U:" or "S:"; the protocol stands on its own');
  const registered = normaliseRanges(allRangeGroups(state).flatMap((group) => rangesOfGroup(group)));
  const [outside] = subtractRanges([range], registered);
  if (outside !== undefined)
    throw new PortolanError("invalid", `${formatRange(outside)} is in no registered range; register it first ("portolan range add")`);
  const wanted: PortRange[] = numbers.map((run) => ({ ...run, protocol }));
  const hit = state.exclusions.find((exclusion) => {
    if (exclusion.expiresAtMs !== null && exclusion.expiresAtMs <= nowMs) return false;
    const excluded: AddressRange[] = normaliseRanges(exclusion.ranges.map(parseRange));
    if (intersectRanges([range], excluded).length === 0) return false;
    return exclusion.ports === null || intersectPorts(wanted, parsePorts(exclusion.ports)).length > 0;
  });
  if (hit !== undefined) {
    throw new PortolanError(
      "conflict",
      `an exclusion (${hit.ranges.slice(0, 3).join(", ")}: ${hit.reason.slice(0, 100)}) touches it, and scripts of the old kind know no exclusions; give ranges without it`,
    );
  }
  return { cidr: formatRange(range), ports: formatPorts(numbers) };
}
