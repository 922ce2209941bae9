import { readFileSync } from "node:fs";
import { z } from "zod";
import { PortolanError } from "../src/core/errors.ts";
import { nameSchema, publicKeySchema } from "../src/core/messages/common.ts";

const fileSchema = z.string().min(1).max(4_096);
const urlSchema = z.url({ protocol: /^(https?|nats|tls|wss?)$/ });
const databaseSchema = z.strictObject({
  /** libSQL over HTTP. */
  url: urlSchema,
  /** File that holds the database's token. */
  tokenFile: fileSchema.optional(),
});

/** How the part that touches the target network finds its way out (`masscan` needs all of it for IPv6). */
const adapterSchema = z.strictObject({
  interface: z.string().min(1).max(15).optional(),
  ipv4: z.ipv4().optional(),
  ipv6: z.ipv6().optional(),
  routerMac: z
    .string()
    .regex(/^[0-9a-fA-F]{2}([:-][0-9a-fA-F]{2}){5}$/)
    .optional(),
});

const scannerSchema = z.strictObject({
  name: nameSchema,
  /** Argv prefix of everything that touches the target network, e.g. `["ip", "netns", "exec", "lab"]`. */
  launcher: z.array(z.string().min(1).max(1_000)).max(32).default([]),
  /** Allows what only a lab may do, such as scans of special-purpose addresses through the launcher. */
  labMode: z.boolean().default(false),
  adapter: adapterSchema.default({}),
  tools: z
    .strictObject({
      masscan: fileSchema.default("masscan"),
      ethtool: fileSchema.default("ethtool"),
      setpriv: fileSchema.default("setpriv"),
      stdbuf: fileSchema.default("stdbuf"),
      node: fileSchema.optional(),
    })
    .default({ masscan: "masscan", ethtool: "ethtool", setpriv: "setpriv", stdbuf: "stdbuf" }),
  /** Stop claiming when the spool is larger than this. */
  spoolBytesMax: z
    .int()
    .positive()
    .default(1024 ** 3),
});

const keeperSchema = z.strictObject({
  /** Name of this keeper in the lease; two daemons of a region need different ones. */
  name: nameSchema,
  /** How often plans, queues and deadlines are looked at. */
  tickMs: z.int().min(20).max(60_000).default(500),
  /** Another keeper takes over when this one has not renewed its lease for so long. */
  leaseTtlMs: z.int().min(1_000).max(600_000).default(15_000),
  /** Seconds that masscan waits for late answers, in the jobs that this keeper plans. */
  waitS: z.int().min(1).max(60).default(5),
  /** Time-out of one connect of the connect engine, in the jobs that this keeper plans. */
  connectTimeoutMs: z.int().min(50).max(30_000).default(1_500),
});

/** What one daemon needs to know; read once at its start. */
export const daemonConfigSchema = z
  .strictObject({
    region: nameSchema,
    /** Spool, registry snapshot and other state of this daemon. */
    dataDir: fileSchema,
    roles: z
      .array(z.enum(["scanner", "keeper"]))
      .min(1)
      .max(2),
    nats: z.strictObject({
      /** With `tls://`, or either of the two below, a server without TLS, or with another's certificate, is refused. */
      url: urlSchema,
      /** Authority of the server's certificate: a PEM file, or its text. */
      caFile: fileSchema.optional(),
      ca: z.string().startsWith("-----BEGIN CERTIFICATE-----").max(16_384).optional(),
    }),
    /** File with this daemon's nkey seed, readable by its owner only. Either this or `keySeed`. */
    keySeedFile: fileSchema.optional(),
    /** The seed itself, as `portolan scanner add` writes it: the configuration file is then secret (mode 0600). */
    keySeed: z
      .string()
      .regex(/^SU[A-Z2-7]{56}$/, "an nkey user seed: SU and 56 base32 characters")
      .optional(),
    /** Keepers whose signature under an assignment counts. */
    keeperPublicKeys: z.array(publicKeySchema).max(32).default([]),
    registry: databaseSchema.optional(),
    ledger: databaseSchema
      .extend({
        /** sqld's admin address: there the keeper checks and applies durability `strong`. Without it the provider answers for durability. */
        adminUrl: urlSchema.optional(),
      })
      .optional(),
    scanner: scannerSchema.optional(),
    keeper: keeperSchema.optional(),
    /** Who the other regions are stands in the registry; this is what only this daemon can know of the way to them. */
    peers: z
      .strictObject({
        /** What their servers' certificates are checked against. */
        caFile: fileSchema.optional(),
        /** Message servers, by region, that are reached from here under another address than the registry's: a tunnel, a translated address. */
        urls: z.record(nameSchema, urlSchema).optional(),
      })
      .optional(),
    /** Port of `/healthz` and `/readyz` on 127.0.0.1. */
    healthPort: z.int().min(0).max(65_535).optional(),
    logLevel: z.enum(["debug", "info", "warning", "error"]).default("info"),
  })
  .superRefine((config, context) => {
    if ((config.keySeedFile === undefined) === (config.keySeed === undefined)) {
      context.addIssue({ code: "custom", path: ["keySeedFile"], message: "give either keySeedFile or keySeed" });
    }
    for (const role of config.roles) {
      if (config[role] === undefined) context.addIssue({ code: "custom", path: [role], message: `role "${role}" needs this section` });
    }
    if (config.roles.includes("keeper")) {
      for (const store of ["registry", "ledger"] as const) {
        if (config[store] === undefined) context.addIssue({ code: "custom", path: [store], message: `role "keeper" needs this section` });
      }
    }
    if (config.roles.includes("scanner") && config.keeperPublicKeys.length === 0) {
      context.addIssue({
        code: "custom",
        path: ["keeperPublicKeys"],
        message: `role "scanner" needs the public key of at least one keeper`,
      });
    }
  });
export type DaemonConfig = z.infer<typeof daemonConfigSchema>;
/** The same before defaults are filled in: what writes a configuration file. */
export type DaemonConfigInput = z.input<typeof daemonConfigSchema>;

/** Checks a configuration; throws `PortolanError("invalid")` that names every wrong field and `source`. */
export function parseDaemonConfig(value: unknown, source: string): DaemonConfig {
  const parsed = daemonConfigSchema.safeParse(value);
  if (parsed.success) return parsed.data;
  const problems = parsed.error.issues.map((issue) => `${issue.path.join(".") || "(whole file)"}: ${issue.message}`);
  throw new PortolanError("invalid", `${source} is not a usable configuration: ${problems.join("; ")}`);
}

/** Reads and checks a configuration file; throws `PortolanError("invalid")` that says what is wrong and where. */
export function readDaemonConfig(file: string): DaemonConfig {
  return parseDaemonConfig(parseJson(readText(file, "configuration file"), file), file);
}

/** The daemon's own nkey seed, from the configuration itself or from the file that it names. */
export function readKeySeed(config: DaemonConfig): string {
  return config.keySeed ?? readSecret(config.keySeedFile ?? "");
}

/** Text of a small file that the configuration names, without white space around it. */
export function readSecret(file: string): string {
  return readText(file, "file").trim();
}

function readText(file: string, what: string): string {
  try {
    return readFileSync(file, "utf8");
  } catch (error) {
    throw new PortolanError("invalid", `cannot read the ${what} ${file}: ${error instanceof Error ? error.message : String(error)}`, {
      cause: error,
    });
  }
}

function parseJson(text: string, file: string): unknown {
  try {
    return JSON.parse(text);
  } catch (error) {
    throw new PortolanError("invalid", `${file} is no JSON: ${error instanceof Error ? error.message : String(error)}`, { cause: error });
  }
}
