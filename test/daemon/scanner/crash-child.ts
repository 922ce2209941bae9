// A scanner of its own process, for a test that kills it or fills its disk: node crash-child.ts DATA_DIR ASSIGNMENT_JSON TOOLS_JSON
// It prints each report that it sends as a line of JSON.
import { createScanner } from "../../../scanner-daemon/scanner/scanner.ts";
import type { Launch } from "../../../scanner-daemon/scanner/launch.ts";
import { newSeed, publicKeyOf, sha256Hex, signText } from "../../../src/bus/keys.node.ts";
import { createMemoryServer } from "../../../src/bus/memory.ts";
import { assignmentSubject, reportsSubject } from "../../../src/bus/names.ts";
import type { Assignment } from "../../../src/core/messages/job.ts";
import { assignmentSignedText, statementId } from "../../../src/core/statement.ts";
import { decodeWire } from "../../../src/core/wire.ts";

const [dataDir = "", assignmentJson = "", howJson = ""] = process.argv.slice(2);
const assignment = JSON.parse(assignmentJson) as Assignment;
const { launcher, tools } = JSON.parse(howJson) as Launch;
const seed = newSeed();
const bus = createMemoryServer().connect();
await bus.ensureWorkQueue("eu");
await bus.ensureClaimer("eu", "s1");
const data = Buffer.from(
  JSON.stringify({ assignment, keeper: publicKeyOf(seed), signature: signText(seed, assignmentSignedText(assignment)) }),
);
await bus.enqueue("eu", { subject: assignmentSubject("s1", assignment.key), data, id: "1" });
bus.serve(reportsSubject("eu"), {
  queue: "keepers",
  handler: (message) => {
    const { statement } = decodeWire(message.data).signed;
    if (statement.kind === "report") console.log(JSON.stringify({ report: statement.content }));
    const receipt = { id: statementId(statement, sha256Hex), log: "0".repeat(32), rseq: 0 };
    return Promise.resolve(Buffer.from(JSON.stringify({ ok: true, receipt })));
  },
});
const quiet = (): void => {};
await createScanner({
  config: { name: "s1", region: "eu", dataDir, launcher, labMode: false, tools, keeperPublicKeys: [publicKeyOf(seed)] },
  bus,
  keys: { seed: newSeed() },
  clock: { nowMs: () => Date.now() },
  log: { debug: quiet, info: quiet, warning: quiet, error: quiet },
  tuning: { sealEveryMs: 50, diskFreeBytesMin: 1_000_000, heartbeatMs: 50 },
}).start();
