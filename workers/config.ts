import { z } from "zod";
import { nameSchema } from "../src/core/messages/common.ts";
import { PortolanError } from "../src/core/errors.ts";

const url = z.string().regex(/^(https?|libsql):\/\/\S+$/, "an http, https or libsql URL");
const secret = z.string().min(1).optional();
const REGIONS_MAX = 64;

const regionSchema = z.strictObject({
  name: nameSchema,
  /** Degrees; null: this region is near to nobody, only its turn comes. */
  latitude: z.number().min(-90).max(90).nullable().default(null),
  longitude: z.number().min(-180).max(180).nullable().default(null),
  registryUrl: url,
  registryToken: secret,
  ledgerUrl: url,
  ledgerToken: secret,
});

const regionsSchema = z
  .string()
  .transform((text, context) => {
    try {
      return JSON.parse(text) as unknown;
    } catch {
      context.addIssue("no JSON");
      return z.NEVER;
    }
  })
  .pipe(z.array(regionSchema).min(1).max(REGIONS_MAX))
  .refine((regions) => new Set(regions.map(({ name }) => name)).size === regions.length, "two regions have one name");

const configSchema = z
  .object({
    PORTOLAN_REGION: nameSchema,
    PORTOLAN_REGIONS: regionsSchema.optional(),
    PORTOLAN_REGISTRY_URL: url.optional(),
    PORTOLAN_REGISTRY_TOKEN: secret,
    PORTOLAN_REGISTRY_PRIMARY_URL: url.optional(),
    PORTOLAN_REGISTRY_PRIMARY_TOKEN: secret,
    PORTOLAN_LEDGER_URL: url.optional(),
    PORTOLAN_LEDGER_TOKEN: secret,
    PORTOLAN_LEGACY_FROM_SCANNERS: z.enum(["0", "1"]).optional(),
    PORTOLAN_CLIENT_ADDRESS_HEADER: z
      .string()
      .regex(/^[A-Za-z0-9-]{1,64}$/, "a header's name")
      .optional(),
    PORTOLAN_COORDINATES_HEADER: z
      .string()
      .regex(/^[A-Za-z0-9-]{1,64}$/, "a header's name")
      .optional(),
  })
  .superRefine((config, context) => {
    if (config.PORTOLAN_REGIONS?.some(({ name }) => name === config.PORTOLAN_REGION) === true) return;
    for (const name of ["PORTOLAN_REGISTRY_URL", "PORTOLAN_LEDGER_URL"] as const) {
      if (config[name] === undefined)
        context.addIssue({ code: "custom", path: [name], message: "needed: PORTOLAN_REGIONS lacks this region" });
    }
  });

/**
 * Where the stores are; from the environment, the same names in every runtime. `PORTOLAN_REGIONS` is a JSON list of all regions that this
 * entry serves; without it, or where it lacks the own region, that one's stores stand in variables of their own.
 */
export type ApiConfig = z.infer<typeof configSchema>;

/** One region's stores, and where on earth it is (degrees, null when nobody said). */
export type RegionPlace = z.infer<typeof regionSchema>;

/** Names of all variables, for runtimes that have to be asked one by one. */
export const CONFIG_NAMES: readonly string[] = Object.keys(configSchema.shape);

/** Throws `invalid` naming the first variable that is missing or wrong. Empty values count as missing. */
export function readConfig(env: Readonly<Record<string, unknown>>): ApiConfig {
  const given = Object.fromEntries(CONFIG_NAMES.map((name) => [name, env[name] === "" ? undefined : env[name]]));
  const parsed = configSchema.safeParse(given);
  if (parsed.success) return parsed.data;
  const issue = parsed.error.issues[0];
  const name = String(issue?.path[0]);
  // Never the value: it may hold tokens.
  const place = (issue?.path ?? []).slice(1).join(".");
  const why = given[name] === undefined ? "is not set" : `is wrong${place === "" ? "" : ` at ${place}`}: ${issue?.message}`;
  throw new PortolanError(
    "invalid",
    `the environment variable ${name} ${why}; set it, for instance in wrangler.toml or the service's environment`,
  );
}

/** All regions that are served, the own one first. */
export function placesOf(config: ApiConfig): RegionPlace[] {
  const listed = config.PORTOLAN_REGIONS ?? [];
  const own = listed.find(({ name }) => name === config.PORTOLAN_REGION) ?? ownPlace(config);
  return [own, ...listed.filter(({ name }) => name !== own.name)];
}

function ownPlace(config: ApiConfig): RegionPlace {
  const { PORTOLAN_REGISTRY_URL: registryUrl, PORTOLAN_LEDGER_URL: ledgerUrl } = config;
  if (registryUrl === undefined || ledgerUrl === undefined) throw new PortolanError("internal", "the configuration was not checked");
  return {
    name: config.PORTOLAN_REGION,
    latitude: null,
    longitude: null,
    registryUrl,
    ledgerUrl,
    ...(config.PORTOLAN_REGISTRY_TOKEN === undefined ? {} : { registryToken: config.PORTOLAN_REGISTRY_TOKEN }),
    ...(config.PORTOLAN_LEDGER_TOKEN === undefined ? {} : { ledgerToken: config.PORTOLAN_LEDGER_TOKEN }),
  };
}
