import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { connect } from "nats";
import { afterAll, beforeAll, expect, test } from "vitest";
import { newSeed, publicKeyOf } from "../../src/bus/keys.node.ts";
import { peerClient } from "../../src/bus/names.ts";
import { connectNats } from "../../src/bus/nats.ts";
import { connectPeer } from "../../src/bus/nats-peer.ts";
import { natsServerConfig } from "../../src/bus/server-config.ts";
import { Authority, type TlsFiles } from "../../src/local/certificates.ts";
import { type LocalNats, startNats } from "../../src/local/nats.ts";
import { expiredCertificate } from "./expired.ts";

const dir = mkdtempSync(join(tmpdir(), "portolan-tls-"));
const seeds = { keeper: newSeed(), peer: newSeed(), s1: newSeed() };
const keyOf = (name: keyof typeof seeds) => publicKeyOf(seeds[name]);
const users = {
  keepers: [{ name: "KEEPER", publicKey: keyOf("keeper") }],
  scanners: [{ name: "s1", publicKey: keyOf("s1") }],
  peers: [{ name: peerClient("us"), publicKey: keyOf("peer") }],
};
const own = new Authority(join(dir, "own"));
const other = new Authority(join(dir, "other"));
const servers: LocalNats[] = [];

async function serve(name: string, tls: TlsFiles | null): Promise<LocalNats> {
  const files = tls === null ? {} : { tls: { certFile: tls.certFile, keyFile: tls.keyFile } };
  const server = await startNats({ dir: join(dir, name), region: "eu", ...users, ...files });
  servers.push(server);
  return server;
}

let good: LocalNats;
let files: TlsFiles;
beforeAll(async () => {
  files = own.messages("eu", ["127.0.0.1"]);
  good = await serve("good", files);
});
afterAll(async () => {
  for (const server of servers) await server.stop();
  rmSync(dir, { recursive: true, force: true });
});

const tlsUrl = ({ port }: LocalNats, host = "127.0.0.1"): string => `tls://${host}:${port}`;

test("keeper, scanner and peer enter a server whose certificate is of their authority, and the authority may be a file or text", async () => {
  const ca = readFileSync(files.caFile, "utf8");
  const keeper = await connectNats({ url: tlsUrl(good), client: "KEEPER", seed: seeds.keeper, caFile: files.caFile });
  const scanner = await connectNats({ url: tlsUrl(good), client: "s1", seed: seeds.s1, ca });
  const peer = await connectPeer({ region: "eu", url: tlsUrl(good), client: peerClient("us"), seed: seeds.peer, caFile: files.caFile });
  await keeper.ensureLogStream("eu");
  expect(await peer.streamState()).toMatchObject({ lastSeq: 0 });
  expect(scanner.connected()).toBe(true);
  await Promise.all([keeper.close(), scanner.close(), peer.close()]);
});

test("a client in plain text is refused", async () => {
  const plain = connect({ servers: `nats://127.0.0.1:${good.port}`, tls: null, reconnect: false, timeout: 5_000 });
  await expect(plain).rejects.toThrow();
});

test("a server with the certificate of another authority is refused, by keepers and by peers", async () => {
  const caFile = join(dir, "other", "ca.pem");
  await expect(connectNats({ url: tlsUrl(good), client: "KEEPER", seed: seeds.keeper, caFile })).rejects.toThrow(
    /certificate|signature|issuer/i,
  );
  const peer = connectPeer({ region: "eu", url: tlsUrl(good), client: peerClient("us"), seed: seeds.peer, caFile });
  await expect(peer).rejects.toThrow(/certificate|signature|issuer/i);
  // Nobody vouches for it at all.
  await expect(connectNats({ url: tlsUrl(good), client: "KEEPER", seed: seeds.keeper })).rejects.toThrow(/certificate|issuer/i);
});

test("a server with an expired certificate is refused", async () => {
  const server = await serve("expired", expiredCertificate(join(dir, "expired-files")));
  const caFile = join(dir, "expired-files", "ca.pem");
  await expect(connectNats({ url: tlsUrl(server), client: "KEEPER", seed: seeds.keeper, caFile })).rejects.toThrow(/expired/i);
});

test("a server that is called by a name or address which its certificate lacks is refused", async () => {
  const server = await serve("elsewhere", other.messages("eu", ["nats.eu.example", "192.0.2.1"]));
  const caFile = join(dir, "other", "ca.pem");
  for (const host of ["127.0.0.1", "localhost"]) {
    await expect(connectNats({ url: tlsUrl(server, host), client: "KEEPER", seed: seeds.keeper, caFile })).rejects.toThrow(
      /altnames|does not match/i,
    );
  }
});

test("a server without TLS is refused by whoever was told of an authority, or of a tls address", async () => {
  const server = await serve("plain", null);
  const client = { client: "KEEPER", seed: seeds.keeper };
  await expect(connectNats({ ...client, url: server.url, caFile: files.caFile })).rejects.toThrow(/does not support 'tls'/);
  await expect(connectNats({ ...client, url: tlsUrl(server) })).rejects.toThrow(/does not support 'tls'/);
});

test("no configuration comes about for a listener beyond loopback without a certificate", () => {
  const base = { region: "eu", port: 4222, storeDir: "/x", keepers: [], scanners: [] };
  for (const host of ["0.0.0.0", "::", "192.0.2.1", "127.example"]) {
    expect(() => natsServerConfig({ ...base, host })).toThrow(/without TLS/);
    expect(natsServerConfig({ ...base, host, tls: { certFile: "/c", keyFile: "/k" } })).toContain('tls { cert_file: "/c"');
  }
  for (const host of ["127.0.0.1", "127.0.0.9", "::1", "localhost"]) expect(natsServerConfig({ ...base, host })).not.toContain("tls {");
});

test("a certificate is made anew for a name that it lacks, and only then", () => {
  const authority = new Authority(join(dir, "names"));
  const read = (file: string): string => readFileSync(file, "utf8");
  const { certFile } = authority.messages("eu", ["127.0.0.1"]);
  const first = read(certFile);
  expect(read(authority.messages("eu", ["127.0.0.1"]).certFile)).toBe(first);
  const second = read(authority.messages("eu", ["127.0.0.1", "nats.example", "2001:db8::1"]).certFile);
  expect(second).not.toBe(first);
  expect(read(authority.messages("eu", ["nats.example"]).certFile)).toBe(second);
  expect(() => authority.messages("eu", ["a,DNS:evil.example"])).toThrow(/no host name/);
  writeFileSync(certFile, "damaged");
  expect(read(authority.messages("eu", ["127.0.0.1"]).certFile)).toContain("BEGIN CERTIFICATE");
});
