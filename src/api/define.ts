import { createRoute, z } from "@hono/zod-openapi";

/** Problem as `/openapi.json` describes it; every operation may answer with it. */
export const problemSchema = z
  .object({
    type: z.string(),
    title: z.string(),
    status: z.int(),
    detail: z.string(),
    code: z.enum([
      "invalid",
      "unauthenticated",
      "forbidden",
      "not-found",
      "conflict",
      "precondition-required",
      "stale",
      "mismatch",
      "rate-limited",
      "too-large",
      "unavailable",
      "internal",
    ]),
    request_id: z.string(),
    errors: z.array(z.object({ pointer: z.string(), detail: z.string() })).optional(),
  })
  .openapi("Problem");

/** A JSON answer. */
export function json<T extends z.ZodType>(schema: T, description: string) {
  return { description, content: { "application/json": { schema } } };
}

/** A JSON body that has to be there. */
export function body<T extends z.ZodType>(schema: T) {
  return { body: { required: true, content: { "application/json": { schema } } } };
}

/** Answer to a successful DELETE. */
export const deletedSchema = z.object({ deleted: z.string() });

export { createRoute };
