import { setTimeout as pause } from "node:timers/promises";
import { sha256Hex } from "../../bus/keys.node.ts";
import { canonicalJson } from "../../core/canonical.ts";
import { PortolanError } from "../../core/errors.ts";
import { openLedger } from "../../ledger/ledger.ts";
import { type LagSample, percentileMs } from "./lag.ts";
import type { DemoResult } from "./result.ts";
import type { Site } from "./sites.ts";
import type { Stage } from "./stage.ts";

const EQUAL_MS_MAX = 60_000;
const LOOK_EVERY_MS = 500;
const CALL_TIMEOUT_MS = 15_000;

type State = { readonly hash: string; readonly services: number; readonly frontier: string };

/** Each region's register as one hash over the same records; and how long news took to get there. */
export async function equalPhase(stage: Stage, lags: readonly LagSample[]): Promise<DemoResult["regions"]> {
  const { sites, say, evidence } = stage;
  const deadlineMs = performance.now() + EQUAL_MS_MAX;
  let states = await Promise.all(sites.map(stateOf));
  while (!areEqual(states) && performance.now() < deadlineMs) {
    await pause(LOOK_EVERY_MS);
    states = await Promise.all(sites.map(stateOf));
  }
  const equal = areEqual(states);
  for (const [index, { name, runtime }] of sites.entries()) {
    const state = states[index];
    say.line(
      `region ${name} (API on ${runtime}): ${state === null || state === undefined ? "still busy" : `${state.services} services, state ${state.hash}`}`,
    );
  }
  const lagMs = { p50: percentileMs(lags, 50), p99: percentileMs(lags, 99) };
  say.line(`${lags.length} sightings were shown by another region's API: half of them within ${lagMs.p50} ms, 99 % within ${lagMs.p99} ms`);
  await evidence.file(
    ".",
    "states.json",
    `${JSON.stringify(Object.fromEntries(sites.map(({ name }, i) => [name, states[i] ?? null])), null, 2)}\n`,
  );
  return { count: sites.length, equal, lagMs, runtimes: sites.map(({ runtime }) => runtime) };
}

/** Null while something is put off, or records are coming in. */
async function stateOf({ name, region }: Site): Promise<State | null> {
  const ledger = openLedger({ url: region.ledgerUrl, region: name, timeoutMs: CALL_TIMEOUT_MS });
  try {
    const { hash, services, settled, frontier } = await ledger.stateHash(sha256Hex);
    return settled ? { hash, services, frontier: canonicalJson(frontier) } : null;
  } finally {
    ledger.close();
  }
}

function areEqual(states: readonly (State | null)[]): boolean {
  return states.every((state) => state !== null && state.services > 0) && new Set(states.map((state) => JSON.stringify(state))).size === 1;
}

/** Looks at each region's pages as a signed-in person does. Throws `unavailable` when one does not answer. */
export async function openPages({ sites, say }: Stage): Promise<void> {
  for (const { name, runtime, region } of sites) {
    for (const path of ["/", "/jobs"]) {
      // Old scripts ask for /jobs too: what a browser accepts tells the two apart.
      const headers = { accept: "text/html", cookie: `portolan_token=${region.adminToken}` };
      const response = await fetch(`${region.apiUrl}${path}`, { headers, signal: AbortSignal.timeout(CALL_TIMEOUT_MS) });
      const page = await response.text();
      if (!response.ok || !page.includes("</html>")) {
        throw new PortolanError("unavailable", `page ${path} of region ${name} was answered ${response.status}: ${page.slice(0, 300)}`);
      }
    }
    say.line(`pages of region ${name} (${runtime}): ${region.apiUrl}/  jobs: ${region.apiUrl}/jobs`);
  }
}
