import { PortolanError } from "../../core/errors.ts";
import { formatCount } from "../../web/format.ts";
import { allRows, bodyOf, type Api } from "../client.ts";

/** A job as the API tells it. */
export type Job = Awaited<ReturnType<typeof readJob>>;
/** A shard of a job as the API tells it. */
export type Shard = Awaited<ReturnType<typeof readShards>>[number];

const SEARCHED_JOBS = 1_000;

export async function readJob(api: Api, id: string) {
  return bodyOf(api.v1.jobs[":id"].$get({ param: { id } }));
}

/** All shards of a job, by tile. */
export async function readShards(api: Api, id: string) {
  return allRows((cursor) =>
    bodyOf(api.v1.jobs[":id"].shards.$get({ param: { id }, query: { limit: "1000", ...(cursor === undefined ? {} : { cursor }) } })),
  );
}

/**
 * The whole id of the job that was meant: by the beginning of its id, or the newest one (of a plan).
 *
 * Throws `not-found` when there is none, `invalid` when several begin like that.
 */
export async function resolveJob(
  api: Api,
  wanted: { readonly id: string | undefined; readonly plan: string | undefined },
): Promise<string> {
  const { id, plan } = wanted;
  if (id !== undefined && /^[0-9a-f]{64}$/.test(id)) return id;
  if (id !== undefined && !/^[0-9a-f]{4,63}$/.test(id)) {
    throw new PortolanError(
      "invalid",
      `"${id}" is no job; give at least the first 4 hexadecimal digits of its id, as "portolan job ls" shows them`,
    );
  }
  const limit = id === undefined ? "1" : String(SEARCHED_JOBS);
  const { items } = await bodyOf(api.v1.jobs.$get({ query: { limit, ...(plan === undefined ? {} : { plan }) } }));
  const matching = id === undefined ? items : items.filter((job) => job.id.startsWith(id));
  const [first, second] = matching;
  if (first === undefined) {
    const what =
      id === undefined ? (plan === undefined ? "there is no job yet" : `plan "${plan}" has no job yet`) : `no job begins with "${id}"`;
    throw new PortolanError("not-found", `${what}; "portolan job ls" lists them, "portolan plan start NAME" starts one`);
  }
  if (second !== undefined) throw new PortolanError("invalid", `more than one job begins with "${id}"; give more of its digits`);
  return first.id;
}

/** `3 of 8`. */
export function tilesOf({ tiles }: Pick<Job, "tiles">): string {
  return `${formatCount(tiles.complete)} of ${formatCount(tiles.total)}`;
}
