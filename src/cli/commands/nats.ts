import { chmodSync, existsSync, readFileSync, renameSync, writeFileSync } from "node:fs";
import { resolve } from "node:path";
import type { Command } from "commander";
import { natsServerConfig, type NatsServerOptions } from "../../bus/server-config.ts";
import { peerClient } from "../../bus/names.ts";
import { PortolanError } from "../../core/errors.ts";
import { collect, wholeNumber } from "../arguments.ts";
import { allRows, bodyOf, type Api } from "../client.ts";
import type { Context, Session } from "../context.ts";
import { EXIT } from "../io.ts";

const EXAMPLES = `
Examples:
  portolan nats config --region eu --cert nats.pem --key nats.key --host 0.0.0.0 --store /var/lib/nats --out nats.conf
  portolan nats config --region eu --store /tmp/nats                    to standard output, for a server on loopback

It holds public keys only: keepers and scanners of the region, and the keepers of the other ones, as the registry lists them. After a change
the server reads it anew on SIGHUP. Exit code 1 says that the file of --out has changed, 0 that it was the same.
"npm start" does all this by itself.`;

type Options = {
  readonly region: string;
  readonly host: string;
  readonly port: number;
  readonly store: string;
  readonly cert?: string;
  readonly key?: string;
  readonly keeper: readonly string[];
  readonly out?: string;
};

/** `portolan nats …`: the message server of a region that a service manager runs. */
export function registerNats(program: Command, session: Session): void {
  const nats = program.command("nats").description("the message server of a region that systemd runs");
  nats
    .command("config")
    .description("write nats-server's configuration: who may connect, and what each may do")
    .requiredOption("--region <region>", "region of the server")
    .requiredOption("--store <folder>", "where JetStream keeps its files")
    .option("--host <address>", "address to listen on; beyond loopback it needs a certificate", "127.0.0.1")
    .option("--port <port>", "port to listen on", wholeNumber, 4222)
    .option("--cert <file>", "certificate, PEM")
    .option("--key <file>", "its key, PEM")
    .option("--keeper <key>", "public key of a keeper; may be repeated (default: the newest of the region)", collect, [])
    .option("-o, --out <file>", "file to write, whole or not at all (default: standard output)")
    .addHelpText("after", EXAMPLES)
    .action(async (options: Options) => session.finish(await writeConfig(session.context(), options)));
}

async function writeConfig(context: Context, options: Options): Promise<number> {
  const { region, host, port, store, cert, key } = options;
  if ((cert === undefined) !== (key === undefined)) throw new PortolanError("invalid", "--cert and --key belong together");
  const tls = cert === undefined || key === undefined ? {} : { tls: { certFile: cert, keyFile: key } };
  const text = natsServerConfig({ region, host, port, storeDir: store, ...tls, ...(await readUsers(context.api(), options)) });
  if (options.out === undefined) {
    context.io.stdout.write(text);
    return EXIT.ok;
  }
  const file = resolve(context.io.cwd, options.out);
  if (existsSync(file) && readFileSync(file, "utf8") === text) return EXIT.ok;
  if (context.isDryRun) {
    context.output.note(`Dry run: ${file} would change.`);
    return EXIT.findings;
  }
  writeFileSync(`${file}.new`, text);
  // Whatever the umask: the server runs as a user of its own, and the file holds nothing secret.
  chmodSync(`${file}.new`, 0o644);
  renameSync(`${file}.new`, file);
  context.output.note(`${file} has changed; have the server read it: systemctl reload portolan-nats`);
  return EXIT.findings;
}

type Users = Pick<NatsServerOptions, "keepers" | "scanners" | "peers">;

async function readUsers(api: Api, { region, keeper }: Pick<Options, "region" | "keeper">): Promise<Users> {
  const page = (cursor: string | undefined) => ({ query: { limit: "1000", ...(cursor === undefined ? {} : { cursor }) } });
  const [regions, scanners] = await Promise.all([
    allRows((cursor) => bodyOf(api.v1.regions.$get(page(cursor)))),
    allRows((cursor) => bodyOf(api.v1.scanners.$get(page(cursor)))),
  ]);
  const own = regions.find(({ name }) => name === region);
  if (own === undefined) throw new PortolanError("not-found", `there is no region "${region}"; "portolan region ls" lists them`);
  // Former keys stay listed to verify old records. Names are in upper case, so that no scanner can have the same.
  const keepers = keeper.length > 0 ? keeper : own.keeperPublicKeys.slice(-1);
  const others = regions.filter(({ name, state }) => name !== region && state === "active");
  return {
    keepers: keepers.map((publicKey, index) => ({ name: index === 0 ? "KEEPER" : `KEEPER_${index + 1}`, publicKey })),
    scanners: scanners.filter((row) => row.region === region && row.enabled).map(({ name, publicKey }) => ({ name, publicKey })),
    peers: others.flatMap(({ name, keeperPublicKeys }) => keeperPublicKeys.map((publicKey) => ({ name: peerClient(name), publicKey }))),
  };
}
