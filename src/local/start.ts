import { networkInterfaces } from "node:os";
import { resolve } from "node:path";
import { Command, InvalidArgumentError } from "commander";
import { z } from "zod";
import { PortolanError } from "../core/errors.ts";
import { nameSchema } from "../core/messages/common.ts";
import { type Region, startRegion } from "./region.ts";
import type { ChildEvent } from "./supervisor.ts";

// `npm start`: all of one region on this machine, until Ctrl-C.

const PORT_DEFAULT = 4280;
const EXIT_USAGE = 2;
const EXIT_UNAVAILABLE = 5;

type Options = {
  readonly region: string;
  readonly dir: string;
  readonly port: number;
  readonly host: string;
  readonly natsPort?: number;
  readonly natsHost: string;
  readonly verbose?: boolean;
};

function parsePort(text: string): number {
  const port = Number(text);
  if (!/^\d{1,5}$/.test(text) || port < 1 || port > 65_535) throw new InvalidArgumentError("use a number from 1 to 65535.");
  return port;
}

function parseName(text: string): string {
  const parsed = nameSchema.safeParse(text);
  if (!parsed.success) throw new InvalidArgumentError(`use ${parsed.error.issues[0]?.message ?? "another name"}.`);
  return parsed.data;
}

function readOptions(): Options {
  const command = new Command("npm start --")
    .description("Runs everything on this machine: registry, ledger, NATS, keeper, one scanner called local, API and pages.")
    .option("--region <name>", "name of this region", parseName, "local")
    .option("--dir <folder>", "where all data goes", "data")
    .option("--port <port>", "port of the API and the pages", parsePort, PORT_DEFAULT)
    .option("--host <address>", "address on which the API listens", "127.0.0.1")
    .option("--nats-port <port>", "port of NATS, for scanners on other machines", parsePort)
    .option("--nats-host <address>", "address on which NATS listens", "127.0.0.1")
    .option("--verbose", "tells every start and end of a child process")
    .exitOverride((end) => process.exit(end.exitCode === 0 ? 0 : EXIT_USAGE));
  return command.parse().opts<Options>();
}

/** What this machine calls itself towards the outside; loopback when it has no other address. */
function ownAddresses(): string[] {
  const all = Object.values(networkInterfaces()).flatMap((list) => list ?? []);
  const outside = all.filter((entry) => !entry.internal && !entry.address.startsWith("fe80:")).map((entry) => entry.address);
  return outside.length > 0 ? outside.slice(0, 8) : ["127.0.0.1"];
}

const isAny = (host: string): boolean => host === "0.0.0.0" || host === "::";
const urlAddress = (address: string): string => (address.includes(":") ? `[${address}]` : address);

async function greet(region: Region): Promise<void> {
  const lines = [
    `Portolan is running: region "${region.name}", data in ${region.layout.dir}`,
    `  pages and API   ${region.apiUrl}`,
    `  scanner         local (this machine)${await scannerNote(region)}`,
    region.tokenIsNew
      ? `  admin token     ${region.adminToken}\n                  (shown this once; the CLI in this folder uses it by itself; another: npx portolan token add NAME --role admin)`
      : `  admin token     as before, in ${region.layout.credentials}`,
    "",
    "In a second terminal, in this folder:",
    "  npx portolan plan add office --range 192.0.2.0/24 -p 1-1024 --every 6h",
    "Scan only networks that are yours to scan. Ctrl-C stops everything in order.",
  ];
  console.log(lines.join("\n"));
}

const scannersSchema = z.object({
  items: z.array(
    z.object({ name: z.string(), live: z.object({ engines: z.array(z.string()), notReady: z.string().nullable() }).nullable() }),
  ),
});

/** What the scanner of this machine can do, in its own words. */
async function scannerNote(region: Region): Promise<string> {
  const headers = { authorization: `Bearer ${region.adminToken}` };
  const response = await fetch(`${region.apiUrl}/v1/scanners?limit=1000`, { headers, signal: AbortSignal.timeout(5_000) });
  const live = scannersSchema.parse(await response.json()).items.find((scanner) => scanner.name === "local")?.live;
  if (live === undefined || live === null) return "";
  if (live.notReady === null) return `, ready with ${live.engines.join(" and ")}`;
  const engines = live.engines.length === 0 ? "cannot work" : `works with TCP connects only`;
  return `, ${engines}:\n                  ${live.notReady}`;
}

function report(options: Options): (event: ChildEvent) => void {
  let settled = false;
  setTimeout(() => (settled = true), 5_000).unref();
  return ({ child, kind, detail }) => {
    // At the start and the end children come and go as they should.
    if (options.verbose === true || (settled && !stopping && kind !== "started")) {
      console.error(`portolan: ${child} ${kind}: ${detail}${kind === "started" ? "" : "; it is started again by itself"}`);
    }
  };
}

let stopping = false;

async function main(): Promise<void> {
  const options = readOptions();
  const region = await startRegion({
    dir: resolve(options.dir),
    region: options.region,
    scanners: [{ name: "local", addresses: ownAddresses() }],
    apiPort: options.port,
    apiHost: options.host,
    natsHost: options.natsHost,
    ...(isAny(options.natsHost) ? { natsAdvertise: urlAddress(ownAddresses()[0] ?? "127.0.0.1") } : {}),
    ...(options.natsPort === undefined ? {} : { natsPort: options.natsPort }),
    onEvent: report(options),
  });
  await greet(region);
  const stop = (): void => {
    if (stopping) return;
    stopping = true;
    console.error("portolan: stopping …");
    void region.stop().then(
      () => process.exit(0),
      (error: unknown) => fail(error),
    );
  };
  process.on("SIGINT", stop);
  process.on("SIGTERM", stop);
  process.on("SIGHUP", stop);
}

function fail(error: unknown): void {
  const known = error instanceof PortolanError;
  console.error(`portolan: ${known ? error.message : String(error instanceof Error ? error.stack : error)}`);
  process.exit(known && error.code === "unavailable" ? EXIT_UNAVAILABLE : EXIT_USAGE);
}

await main().catch(fail);
