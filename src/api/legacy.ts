import { z } from "@hono/zod-openapi";
import type { Context } from "hono";
import { formatAddress, parseAddress } from "../core/address.ts";
import { PortolanError } from "../core/errors.ts";
import { jsonParser } from "../core/import/json.ts";
import { createTally } from "../core/import/tally.ts";
import { askKeeper } from "./command.ts";
import { type ApiDeps, type ApiEnv, newApi } from "./context.ts";
import { createRoute, json } from "./define.ts";
import { UnsupportedType } from "./problem.ts";
import { checkScope, committed, createUploader, notCommitted, textOf } from "./upload.ts";

const TAGS = ["old program"];
const BODY_BYTES_MAX = 32 * 1024 * 1024;
/** So much of a body in which nothing could be read is looked at as a whole. */
const HEAD_CHARS_MAX = 64 * 1024;
const PATH_CHARS_MAX = 65_536;
const JOBS_MAX = 1_000;

const resultsBody = { body: { required: true, content: { "application/json": { schema: z.unknown() } } } };
const taken = {
  200: {
    description: "In the register, as sightings without coverage. The header Portolan-Refused counts the entries that could not be used",
    headers: z.object({ "Portolan-Refused": z.string().optional() }),
  },
};
const jobSchema = z.object({ id: z.int(), cidr: z.string(), ports: z.string(), proto: z.string() });
const results = createRoute({ method: "post", path: "/results", tags: TAGS, request: resultsBody, responses: taken });
const jobResults = createRoute({
  method: "put",
  path: "/results/{id}",
  tags: TAGS,
  request: { params: z.object({ id: z.string().max(20) }), ...resultsBody },
  responses: taken,
});
const jobs = createRoute({
  method: "get",
  path: "/jobs",
  tags: TAGS,
  responses: { 200: json(z.array(jobSchema), "Jobs without results, for programs of the old kind") },
});
const addTraceroute = createRoute({
  method: "post",
  path: "/traceroute",
  tags: TAGS,
  request: {
    body: {
      required: true,
      content: { "multipart/form-data": { schema: z.object({ dest: z.string(), traceroute: z.string().openapi({ format: "binary" }) }) } },
    },
  },
  responses: { 201: { description: "Kept", headers: z.object({ Location: z.string() }) } },
});
const readTraceroute = createRoute({
  method: "get",
  path: "/traceroute/{ip}",
  tags: TAGS,
  request: { params: z.object({ ip: z.string().max(100) }) },
  responses: { 200: { description: "The newest one", content: { "text/plain": { schema: z.string() } } } },
});

/**
 * The routes of the program that Portolan replaces, for its scripts as they are. What they send has no coverage: it can open a service and never
 * close one. Bodies are not checked by a schema: one wrong record must not lose the others.
 */
export function legacyRoutes(deps: ApiDeps) {
  const app = newApi();
  app.openAPIRegistry.registerPath(results);
  app.openAPIRegistry.registerPath(jobResults);
  app.openAPIRegistry.registerPath(addTraceroute);
  app.post("/results", async (c) => answerRefused(c, await takeResults(c, deps)));
  app.put("/results/:id", async (c) => {
    const number = await openNumber(c.req.param("id"), deps);
    const refused = await takeResults(c, deps);
    await askKeeper(deps, "end-legacy-job", { number, how: "received" });
    return answerRefused(c, refused);
  });
  app.post("/traceroute", (c) => takeTraceroute(c, deps));
  return app
    .openapi(jobs, async (c) => {
      const open = await deps.ledger.legacyJobs({ nowMs: deps.clock(), open: true, limit: JOBS_MAX });
      c.header("Cache-Control", "no-store");
      return c.json(
        open.map(({ number, cidr, ports, protocol }) => ({ id: number, cidr, ports, proto: protocol })),
        200,
      );
    })
    .openapi(readTraceroute, async (c) => {
      const address = addressOf(c.req.valid("param").ip, "the path");
      const kept = await deps.ledger.traceroute(address);
      if (kept === null) throw new PortolanError("not-found", `nobody has sent a traceroute to ${address}`);
      return c.text(kept.path, 200);
    });
}

function answerRefused(c: Context<ApiEnv>, refused: number): Response {
  if (refused > 0) c.header("Portolan-Refused", String(refused));
  return c.body(null, 200);
}

/** Puts a body into the register; how many of its entries were refused. Throws `invalid` when it is no array. */
async function takeResults(c: Context<ApiEnv>, deps: ApiDeps): Promise<number> {
  const type = (c.req.header("content-type") ?? "").split(";")[0]?.trim().toLowerCase();
  if (type !== "application/json") throw new UnsupportedType("the content type is not application/json; send JSON and say so");
  checkScope(c.get("token"), deps.region);
  const uploader = createUploader(deps, c.get("token").name);
  const tally = createTally(uploader.add);
  const parser = jsonParser(tally, Math.floor(deps.clock() / 1_000));
  let head = "";
  for await (const text of textOf(c.req.raw, BODY_BYTES_MAX)) {
    if (head.length <= HEAD_CHARS_MAX) head += text.slice(0, HEAD_CHARS_MAX + 1);
    parser.push(text);
    await uploader.flush();
  }
  parser.end();
  const { read, refused } = tally.counts();
  const hasGood = read > refused || (parser.shape() === "objects" && parser.records() > refused);
  if (!hasGood && !isArray(head)) {
    throw new PortolanError("invalid", "the body is no JSON array of records as masscan -oJ writes them; send its output file as it is");
  }
  if (!(await committed(deps, await uploader.finish()))) throw notCommitted(deps.region);
  return refused;
}

/** masscan leaves an empty file when it found nothing. */
function isArray(text: string): boolean {
  if (text.trim() === "") return true;
  if (text.length > HEAD_CHARS_MAX) return text.trimStart().startsWith("[");
  try {
    return Array.isArray(JSON.parse(text));
  } catch {
    return false;
  }
}

async function openNumber(text: string, { ledger, clock }: ApiDeps): Promise<number> {
  const number = /^[1-9]\d{0,14}$/.test(text) ? Number(text) : 0;
  const job = number === 0 ? null : await ledger.legacyJob(number, clock());
  if (job === null) throw new PortolanError("invalid", "Job does not exist");
  // Shards and repeats come after the first result; only what was called off takes no more.
  if (job.state === "cancelled" || job.state === "expired") throw new PortolanError("invalid", "Job already submitted");
  return number;
}

async function takeTraceroute(c: Context<ApiEnv>, deps: ApiDeps): Promise<Response> {
  checkScope(c.get("token"), deps.region);
  const form = await c.req.parseBody().catch((error: unknown) => {
    throw new PortolanError("invalid", 'the body is no multipart form; send the fields "dest" and "traceroute"', { cause: error });
  });
  const { dest, traceroute, at } = form as { [name in string]?: unknown };
  if (typeof dest !== "string" || dest === "") throw new PortolanError("invalid", 'the field "dest" is missing; send the address');
  const destination = addressOf(dest, 'the field "dest"');
  if (!(traceroute instanceof File)) throw new PortolanError("invalid", 'the file "traceroute" is missing; send what traceroute printed');
  const path = await traceroute.text();
  if (path.length > PATH_CHARS_MAX) throw new PortolanError("too-large", `the traceroute is longer than ${PATH_CHARS_MAX} characters`);
  const atS = typeof at === "string" && /^\d{1,10}$/.test(at) ? Number(at) : Math.floor(deps.clock() / 1_000);
  await askKeeper(deps, "traceroute", { destination, source: c.get("token").name.slice(0, 200), path: path.toWellFormed(), atS });
  c.header("Location", `/traceroute/${dest}`);
  return c.body(null, 201);
}

function addressOf(text: string, where: string): string {
  try {
    return formatAddress(parseAddress(text));
  } catch (error) {
    throw new PortolanError("invalid", `${where}: ${error instanceof Error ? error.message : "no address"}`, { cause: error });
  }
}
