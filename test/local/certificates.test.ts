import { X509Certificate } from "node:crypto";
import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { Authority } from "../../src/local/certificates.ts";

let dir = "";
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), "portolan-authority-"));
});
afterEach(() => {
  rmSync(dir, { recursive: true, force: true });
});

const read = (file: string): X509Certificate => new X509Certificate(readFileSync(file));

test("a server's certificate carries the name sqld, a client's does not, and both are the authority's", () => {
  const authority = new Authority(dir);
  const [server, client] = [authority.server("eu"), authority.client("us")];
  const ca = read(server.caFile);
  expect([ca.ca, ca.verify(ca.publicKey)]).toEqual([true, true]);
  expect(read(server.certFile).subjectAltName).toBe("DNS:sqld");
  expect(read(client.certFile).subjectAltName).toBeUndefined();
  expect(read(server.certFile).keyUsage).toEqual(["1.3.6.1.5.5.7.3.1"]);
  expect(read(client.certFile).keyUsage).toEqual(["1.3.6.1.5.5.7.3.2"]);
  for (const { certFile } of [server, client]) expect([read(certFile).ca, read(certFile).verify(ca.publicKey)]).toEqual([false, true]);
});

test("keys are PKCS#8, for their owner only, and nothing is made twice", () => {
  const files = new Authority(dir).server("eu");
  expect(readFileSync(files.keyFile, "utf8")).toMatch(/^-----BEGIN PRIVATE KEY-----\n/);
  expect([statSync(files.keyFile).mode & 0o777, statSync(join(dir, "ca.key")).mode & 0o777]).toEqual([0o600, 0o600]);
  const before = readFileSync(files.certFile, "utf8");
  expect(readFileSync(new Authority(dir).server("eu").certFile, "utf8")).toBe(before);
});

test("a certificate that is damaged or of another authority is made anew", () => {
  const authority = new Authority(dir);
  const { certFile } = authority.server("eu");
  const other = new Authority(join(dir, "other")).server("eu");
  for (const text of ["damaged", readFileSync(other.certFile, "utf8")]) {
    writeFileSync(certFile, text);
    expect(read(authority.server("eu").certFile).verify(read(join(dir, "ca.pem")).publicKey)).toBe(true);
  }
});
