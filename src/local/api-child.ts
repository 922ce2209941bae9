import { join } from "node:path";
import { openLog } from "./log.ts";
import type { RegionOptions } from "./options.ts";
import type { Places } from "./places.ts";
import { runtimeCommand } from "./runtimes.ts";
import { spawnProcess } from "./spawn.ts";
import type { ChildSpec } from "./supervisor.ts";

const READY_MS_MAX = 45_000;
/** What the operator sets for the API in the environment of the supervisor. */
const OWN_SETTINGS = ["PORTOLAN_LEGACY_FROM_SCANNERS", "PORTOLAN_CLIENT_ADDRESS_HEADER"] as const;

/** The API and the pages, on the runtime of the region; `stores` is asked at each start, because the registry's primary may move. */
export function apiChild(places: Places, options: RegionOptions, stores: () => Readonly<Record<string, string>>): ChildSpec {
  const onOutput = openLog(places.log("api"));
  const runtime = options.runtime ?? "node";
  let starts = 0;
  return {
    name: "api",
    start: async () => {
      const environment = {
        PORTOLAN_REGION: places.region,
        PORTOLAN_REGISTRY_URL: places.registryUrl,
        PORTOLAN_LEDGER_URL: places.ledgerUrl,
        ...stores(),
        ...ownSettings(),
      };
      const place = { host: options.apiHost ?? "127.0.0.1", port: places.ports.api, dir: join(places.layout.dir, "api"), environment };
      // At first with its stores. Later it may come back while they are away, and says so itself.
      const path = starts++ === 0 ? "/readyz" : "/healthz";
      const { argv, env } = await runtimeCommand(runtime, place);
      return spawnProcess({
        name: "api",
        argv,
        env,
        isReady: () => answers(`${places.apiUrl}${path}`),
        readyTimeoutMs: READY_MS_MAX,
        onOutput,
      });
    },
  };
}

async function answers(url: string): Promise<boolean> {
  const response = await fetch(url, { signal: AbortSignal.timeout(5_000) });
  await response.arrayBuffer();
  return response.ok;
}

function ownSettings(): Record<string, string> {
  return Object.fromEntries(OWN_SETTINGS.flatMap((name) => (process.env[name] === undefined ? [] : [[name, process.env[name]]])));
}
