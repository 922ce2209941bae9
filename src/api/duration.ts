import { z } from "@hono/zod-openapi";

export { parseDuration } from "../core/duration.ts";

/** A length of time as people write it: `90s`, `30m`, `6h`, `1d`, `1w`, `1h30m`, or whole seconds as a number. */
export const durationSchema = z.union([z.string().min(1).max(40), z.int().positive().max(31_536_000)]).openapi({ example: "6h" });
