import { z } from "zod";
import { nameSchema } from "../src/core/messages/common.ts";
import { PortolanError } from "../src/core/errors.ts";

const url = z.string().regex(/^(https?|libsql):\/\/\S+$/, "an http, https or libsql URL");
const secret = z.string().min(1).optional();

const configSchema = z.object({
  PORTOLAN_REGION: nameSchema,
  PORTOLAN_REGISTRY_URL: url,
  PORTOLAN_REGISTRY_TOKEN: secret,
  PORTOLAN_REGISTRY_PRIMARY_URL: url.optional(),
  PORTOLAN_REGISTRY_PRIMARY_TOKEN: secret,
  PORTOLAN_LEDGER_URL: url,
  PORTOLAN_LEDGER_TOKEN: secret,
});

/** Where this region's stores are; from the environment, the same names in every runtime. */
export type ApiConfig = z.infer<typeof configSchema>;

/** Names of all variables, for runtimes that have to be asked one by one. */
export const CONFIG_NAMES: readonly string[] = Object.keys(configSchema.shape);

/** Throws `invalid` naming the first variable that is missing or wrong. Empty values count as missing. */
export function readConfig(env: Readonly<Record<string, unknown>>): ApiConfig {
  const given = Object.fromEntries(CONFIG_NAMES.map((name) => [name, env[name] === "" ? undefined : env[name]]));
  const parsed = configSchema.safeParse(given);
  if (parsed.success) return parsed.data;
  const issue = parsed.error.issues[0];
  const name = String(issue?.path[0]);
  const why = given[name] === undefined ? "is not set" : `is wrong: ${issue?.message}`;
  throw new PortolanError(
    "invalid",
    `the environment variable ${name} ${why}; set it, for instance in wrangler.toml or the service's environment`,
  );
}
