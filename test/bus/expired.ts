import { execFileSync } from "node:child_process";
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { Authority, type TlsFiles } from "../../src/local/certificates.ts";
import { needTool } from "../../src/local/tools.ts";

/** A certificate for 127.0.0.1 that ended yesterday, signed by an authority that is still good. */
export function expiredCertificate(dir: string): TlsFiles {
  mkdirSync(dir, { recursive: true });
  const files = new Authority(dir).messages("eu", ["127.0.0.1"]);
  const [request, extensions] = [join(dir, "request"), join(dir, "extensions")];
  writeFileSync(extensions, "subjectAltName=IP:127.0.0.1\n");
  const openssl = (args: readonly string[]): Buffer => execFileSync(needTool("openssl"), args, { stdio: "pipe" });
  openssl(["req", "-new", "-key", files.keyFile, "-subj", "/CN=old", "-out", request]);
  const signer = ["-CA", files.caFile, "-CAkey", join(dir, "ca.key"), "-set_serial", "1"];
  openssl(["x509", "-req", "-in", request, "-days", "-1", ...signer, "-extfile", extensions, "-out", files.certFile]);
  return files;
}
