import { execFileSync } from "node:child_process";
import { generateKeyPairSync, randomBytes, X509Certificate } from "node:crypto";
import { existsSync, mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { isIP } from "node:net";
import { join } from "node:path";
import { PortolanError } from "../core/errors.ts";
import { writeSecret } from "./layout.ts";
import { needTool } from "./tools.ts";

/** PEM files of one end of a connection with mutual TLS; the key is PKCS#8, as sqld wants it. */
export type TlsFiles = { readonly certFile: string; readonly keyFile: string; readonly caFile: string };

/** What a certificate is for: a registry's primary, its replicas, or a message server. */
type Role = "server" | "client" | "nats";

/** sqld asks for this name whatever the host is; without it a replica is refused with `NotValidForName`. */
const SQLD_NAME = "sqld";
const DAY_MS = 86_400_000;
const CA_DAYS = 3_650;
const LEAF_DAYS = 825;
/** A start makes a certificate anew when it would end within this time. */
const RENEW_MS = 90 * DAY_MS;
const OPENSSL_MS_MAX = 30_000;

/**
 * The authority of an installation, in `dir` (mode 0700): made at the first call. Whoever holds its key can make replicas that read the
 * whole registry and write to it. Throws `unavailable` when the program openssl is missing.
 */
export class Authority {
  readonly dir: string;
  readonly #caFile: string;

  constructor(dir: string) {
    this.dir = dir;
    this.#caFile = join(dir, "ca.pem");
    mkdirSync(dir, { recursive: true, mode: 0o700 });
    const keyFile = join(dir, "ca.key");
    if (existsSync(this.#caFile) && existsSync(keyFile)) return;
    newKey(keyFile);
    const extensions =
      "[v3]\nbasicConstraints=critical,CA:TRUE,pathlen:0\nkeyUsage=critical,keyCertSign,cRLSign\nsubjectKeyIdentifier=hash\n";
    this.#make(this.#caFile, extensions, (config, out) => [
      ["req", "-x509", "-new", "-sha256", "-key", keyFile, "-days", String(CA_DAYS), "-subj", "/CN=Portolan authority"],
      ["-extensions", "v3", "-config", config, "-out", out],
    ]);
  }

  /** Certificate of a region's registry as primary: the name `sqld`, for servers only. Made when it is missing, near its end or of another authority. */
  server(region: string): TlsFiles {
    return this.#leaf(region, "server", [SQLD_NAME]);
  }

  /** Certificate of a region's message server, for each name and address under which it is reached; made anew when one of them is new. */
  messages(region: string, hosts: readonly string[]): TlsFiles {
    return this.#leaf(region, "nats", hosts);
  }

  /** Certificate with which a region's registry replica calls the primary. */
  client(region: string): TlsFiles {
    return this.#leaf(region, "client", []);
  }

  #leaf(region: string, role: Role, hosts: readonly string[]): TlsFiles {
    const name = join(this.dir, `${region}-${role}`);
    const files = { certFile: `${name}.pem`, keyFile: `${name}.key`, caFile: this.#caFile };
    if (this.#isGood(files, hosts)) return files;
    newKey(files.keyFile);
    const request = `${name}.csr`;
    const names = hosts.length === 0 ? "" : `subjectAltName=${hosts.map(alternativeName).join(",")}\n`;
    const usage = role === "client" ? "clientAuth" : "serverAuth";
    const extensions = `[v3]\nbasicConstraints=critical,CA:FALSE\nkeyUsage=critical,digitalSignature\nextendedKeyUsage=${usage}\n${names}`;
    try {
      this.#make(files.certFile, extensions, (config, out) => {
        const subject = `/CN=Portolan ${role === "nats" ? "messages" : `registry ${role}`} ${region}`;
        openssl(["req", "-new", "-sha256", "-key", files.keyFile, "-subj", subject, "-config", config, "-out", request]);
        const signer = ["-CA", this.#caFile, "-CAkey", join(this.dir, "ca.key"), "-set_serial", `0x${randomBytes(16).toString("hex")}`];
        return [
          ["x509", "-req", "-sha256", "-in", request, "-days", String(LEAF_DAYS), ...signer],
          ["-extfile", config, "-extensions", "v3", "-out", out],
        ];
      });
    } finally {
      rmSync(request, { force: true });
    }
    return files;
  }

  #isGood({ certFile, keyFile }: TlsFiles, hosts: readonly string[]): boolean {
    if (!existsSync(certFile) || !existsSync(keyFile)) return false;
    try {
      const certificate = new X509Certificate(readFileSync(certFile));
      const authority = new X509Certificate(readFileSync(this.#caFile));
      const covers = hosts.every((host) => (isIP(host) === 0 ? certificate.checkHost(host) : certificate.checkIP(host)) !== undefined);
      return covers && certificate.verify(authority.publicKey) && Date.parse(certificate.validTo) > Date.now() + RENEW_MS;
    } catch {
      return false;
    }
  }

  /** The certificate appears whole or not at all. */
  #make(file: string, extensions: string, command: (config: string, out: string) => readonly (readonly string[])[]): void {
    const config = `${file}.cnf`;
    // OpenSSL reads no configuration of the machine then, which may add extensions of its own.
    writeFileSync(config, `[req]\ndistinguished_name=dn\nprompt=no\n[dn]\n${extensions}`, { mode: 0o600 });
    try {
      openssl(command(config, `${file}.new`).flat());
      renameSync(`${file}.new`, file);
    } finally {
      rmSync(config, { force: true });
    }
  }
}

const HOST = /^[A-Za-z0-9.:-]{1,253}$/;

/** Throws `invalid` for what could not stand in a certificate. */
function alternativeName(host: string): string {
  if (!HOST.test(host)) throw new PortolanError("invalid", `"${host}" is no host name or address that a certificate can be made for`);
  return `${isIP(host) === 0 ? "DNS" : "IP"}:${host}`;
}

/** P-256: what every TLS library can do. */
function newKey(file: string): void {
  const { privateKey } = generateKeyPairSync("ec", { namedCurve: "prime256v1" });
  writeSecret(file, privateKey.export({ type: "pkcs8", format: "pem" }).toString());
}

function openssl(args: readonly string[]): void {
  try {
    execFileSync(needTool("openssl"), args, { stdio: ["ignore", "ignore", "pipe"], timeout: OPENSSL_MS_MAX, encoding: "utf8" });
  } catch (error) {
    if (error instanceof PortolanError) throw error;
    const said = (error as { stderr?: string }).stderr ?? String(error);
    throw new PortolanError("unavailable", `openssl ${args[0]} could not make a certificate: ${said.trim().slice(-500)}`, { cause: error });
  }
}
