import { readFileSync } from "node:fs";
import { EXPORT_FORMATS, type ExportFormat } from "../../src/api/export-formats.ts";
import { startLedgerDatabase } from "../ledger/sqld-ledger.ts";
import { startTestRegistry } from "../registry/harness.ts";
import { type Environment, type Server, startDeno, startNode, startWorkerd } from "../runtimes/servers.ts";
import { fillRegister } from "./hot-list.ts";
import type { BenchLine, BenchResult } from "./result.ts";

const SERVICES = 1_000_000;
const GROWTH_MB_MAX = 50;
const LOOK_EVERY_MS = 50;
const RUNTIMES: readonly { readonly name: string; readonly start: (environment: Environment) => Promise<Server> }[] = [
  { name: "Node", start: startNode },
  { name: "Deno", start: startDeno },
  { name: "workerd", start: startWorkerd },
];

type Options = { readonly services?: number; readonly formats?: readonly ExportFormat[]; readonly runtimes?: readonly string[] };

/** Exports of a register of a million services: how much memory the API takes more than after a small one, in each runtime and format. */
export async function benchExport({ services = SERVICES, formats = EXPORT_FORMATS, runtimes }: Options = {}): Promise<BenchResult> {
  const ledger = await startLedgerDatabase();
  const store = await startTestRegistry();
  try {
    await fillRegister(ledger, services);
    store.clock.nowMs = Date.now();
    await store.registry.addRegion("eu");
    const token = (await store.registry.tokens.issue({ name: "bench", role: "viewer", expiresAtMs: null })).text;
    const environment = {
      // As `npm start` limits its own processes: without a limit Node takes what the machine has, whatever the program needs.
      NODE_OPTIONS: "--max-semi-space-size=8 --max-old-space-size=160",
      PORTOLAN_REGION: "eu",
      PORTOLAN_REGISTRY_URL: store.sqld.url,
      PORTOLAN_LEDGER_URL: ledger.url,
    };
    const lines: BenchLine[] = [];
    for (const { name, start } of RUNTIMES.filter((runtime) => runtimes?.includes(runtime.name) ?? true)) {
      for (const format of formats) {
        // Each format in a process of its own: what one has taken is not counted for the next.
        const server = await start(environment);
        try {
          lines.push(...(await measure(`${name}: ${format}`, server, { format, token, services })));
        } finally {
          await server.stop();
        }
      }
    }
    return { bench: "export", lines, notes: [`${services.toLocaleString("en")} services; growth over the process after a small export`] };
  } finally {
    await store.close();
    await ledger.stop();
  }
}

type Asked = { readonly format: ExportFormat; readonly token: string; readonly services: number };

async function measure(what: string, server: Server, { format, token, services }: Asked): Promise<BenchLine[]> {
  const headers = { authorization: `Bearer ${token}` };
  const url = `${server.url}/v1/services.${format}`;
  // A sixteenth of them: a process that works, not one that has just begun.
  const small = await fetch(`${url}?q=${encodeURIComponent("net:10.0.0.0/12")}`, { headers });
  await drain(small);
  const before = rssMb(server.pid);
  let most = before;
  const timer = setInterval(() => (most = Math.max(most, rssMb(server.pid))), LOOK_EVERY_MS);
  const beganMs = performance.now();
  try {
    const { lines, bytes } = await drain(await fetch(url, { headers }));
    if (lines < services * 0.9) throw new Error(`${what}: ${lines} lines for ${services} services`);
    const tookS = (performance.now() - beganMs) / 1_000;
    return [
      { what: `${what}: growth`, value: most - before, unit: "MB", budget: { atMost: GROWTH_MB_MAX } },
      { what: `${what}: resident before`, value: before, unit: "MB", budget: null },
      { what: `${what}: file`, value: bytes / 1e6, unit: "MB", budget: null },
      { what: `${what}: services a second`, value: services / tookS, unit: "rows/s", budget: null },
    ];
  } finally {
    clearInterval(timer);
  }
}

async function drain(response: Response): Promise<{ lines: number; bytes: number }> {
  if (!response.ok || response.body === null) throw new Error(`${response.status} ${await response.text()}`);
  let [lines, bytes] = [0, 0];
  for await (const piece of response.body) {
    bytes += piece.byteLength;
    for (const byte of piece) if (byte === 10) lines += 1;
  }
  return { lines, bytes };
}

/** Resident memory of a process. */
function rssMb(pid: number): number {
  const kilobytes = /^VmRSS:\s+(\d+) kB/m.exec(readFileSync(`/proc/${pid}/status`, "utf8"))?.[1];
  return Number(kilobytes ?? Number.NaN) / 1_024;
}
