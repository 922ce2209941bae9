/** What an operation is called in `/openapi.json`: its id for generated clients, and a line for people. */
type Named = readonly [operationId: string, summary: string];

const NAMED: Readonly<Record<string, Named>> = {
  "GET /healthz": ["isAlive", "Ask whether the process answers"],
  "GET /readyz": ["isReady", "Ask whether both stores answer"],
  "GET /version": ["getVersion", "Ask which version and region answer"],
  "GET /v1/me": ["getOwnToken", "Show the token that asks"],
  "GET /v1/changes": ["listChanges", "List what changed"],
  "GET /v1/changes/stream": ["followChanges", "Follow what changes as server-sent events"],
  "GET /v1/range-groups/:name/ranges": ["listRanges", "List the ranges of a group"],
  "POST /v1/range-groups/:name/ranges": ["addRanges", "Add ranges to a group"],
  "PUT /v1/range-groups/:name/ranges": ["replaceRanges", "Replace the ranges of a group"],
  "DELETE /v1/range-groups/:name/ranges": ["removeRanges", "Take ranges out of a group"],
  "GET /v1/deny": ["listDenies", "List what was denied"],
  "POST /v1/deny": ["createDeny", "Forbid probing something at once"],
  "GET /v1/deny/:id": ["getDeny", "Show a deny"],
  "POST /v1/deny/:id/lift": ["liftDeny", "End a deny"],
  "DELETE /v1/regions/:name": ["retireRegion", "Retire a region"],
  "GET /v1/groups": ["listScannerGroups", "List the scanner groups"],
  "POST /v1/groups": ["createScannerGroup", "Create a scanner group"],
  "GET /v1/groups/:name": ["getScannerGroup", "Show a scanner group"],
  "DELETE /v1/groups/:name": ["deleteScannerGroup", "Delete a scanner group"],
  "PUT /v1/groups/:name/members": ["replaceMembers", "Replace the members of a scanner group"],
  "POST /v1/groups/:name/members": ["addMember", "Add a scanner to a group"],
  "DELETE /v1/groups/:name/members/:scanner": ["removeMember", "Take a scanner out of a group"],
  "POST /v1/plans/preview": ["previewPlan", "Preview settings of a plan"],
  "GET /v1/plans/:name/preview": ["previewSavedPlan", "Preview a plan"],
  "POST /v1/plans/:name/jobs": ["startJob", "Start a job of a plan"],
  "GET /v1/jobs": ["listJobs", "List the jobs"],
  "GET /v1/jobs/:id": ["getJob", "Show a job"],
  "GET /v1/jobs/:id/tiles": ["listTiles", "List the tiles of a job"],
  "GET /v1/jobs/:id/shards": ["listShards", "List the shards of a job"],
  "GET /v1/jobs/:id/held": ["listHeldTiles", "List the tiles of a job that the brake holds"],
  "GET /v1/jobs/:id/reports": ["listReports", "List the reports of a job"],
  "GET /v1/jobs/:id/accounting": ["getAccounting", "Show how many probes a job sent"],
  "POST /v1/jobs/:id/cancel": ["cancelJob", "Cancel a job"],
  "POST /v1/jobs/:id/pause": ["pauseJob", "Pause a job"],
  "POST /v1/jobs/:id/resume": ["resumeJob", "Resume a job"],
  "POST /v1/jobs/:id/release": ["releaseJob", "Release all held tiles of a job"],
  "POST /v1/jobs/:id/tiles/:tile/release": ["releaseTile", "Release a held tile"],
  "GET /v1/services": ["searchServices", "Search the services"],
  "GET /v1/services/facets": ["countFacets", "Count the services that a filter matches by facet"],
  "GET /v1/services/summary": ["getSummary", "Count the services by state and port"],
  "GET /v1/services/:address/:protocol/:port/why": ["explainService", "Explain the verdict about a service"],
  "GET /v1/services/:address/:protocol/:port/history": ["getHistory", "Show the history of a service"],
  "GET /v1/history/open": ["listOpenAt", "List what was open at a moment"],
  "GET /v1/diff": ["compareMoments", "Compare two moments or jobs"],
  "GET /v1/hosts/:address": ["getHost", "Show the services of an address"],
  "GET /v1/ledger": ["getLedger", "Show what the ledger of this region holds"],
  "POST /v1/ledger/rebuild": ["rebuildLedger", "Make the register anew from the records"],
  "POST /v1/imports": ["importFindings", "Import findings of another scan"],
  "GET /v1/imports/:id": ["getImport", "Show how an import stands"],
  "GET /v1/legacy-jobs": ["listLegacyJobs", "List the jobs for programs of the old kind"],
  "POST /v1/legacy-jobs": ["createLegacyJob", "Create a job for programs of the old kind"],
  "DELETE /v1/legacy-jobs/:number": ["deleteLegacyJob", "Delete a job for programs of the old kind"],
  "POST /results": ["postResults", "Hand in findings as the old program does"],
  "PUT /results/:id": ["putResults", "Hand in the findings of an old job"],
  "GET /jobs": ["listOpenLegacyJobs", "List old jobs without results"],
  "POST /traceroute": ["postTraceroute", "Hand in a traceroute"],
  "GET /traceroute/:ip": ["getTraceroute", "Show the newest traceroute to an address"],
  "DELETE /v1/tokens/:id": ["revokeToken", "Revoke a token"],
  "GET /v1/audit": ["listAudit", "List who changed what"],
  "POST /v1/webhooks/:name/secret": ["replaceWebhookSecret", "Make a new secret for a webhook"],
};

/** Resources with the usual operations: their path, and the word for one of them and for all. */
const RESOURCES: readonly (readonly [path: string, one: string, all: string])[] = [
  ["regions", "region", "regions"],
  ["range-groups", "range group", "range groups"],
  ["exclusions", "exclusion", "exclusions"],
  ["known-good", "known-good rule", "known-good rules"],
  ["scanners", "scanner", "scanners"],
  ["groups", "scanner group", "scanner groups"],
  ["plans", "plan", "plans"],
  ["tokens", "token", "tokens"],
  ["webhooks", "webhook", "webhooks"],
  ["services", "service", "services"],
];

/** The name of a route (`METHOD /path/:name`), null for one that nobody named: a test holds routes and names together. */
export function operationName(route: string): Named | null {
  return NAMED[route] ?? usualName(route);
}

function usualName(route: string): Named | null {
  const [, method = "", path = "", rest = ""] = /^([A-Z]+) \/v1\/([a-z-]+)(.*)$/.exec(route) ?? [];
  const [, one, all] = RESOURCES.find(([known]) => known === path) ?? [];
  if (one === undefined || all === undefined) return null;
  const file = /^\.([a-z.]+)$/.exec(rest)?.[1];
  if (method === "GET" && file !== undefined) return [camel(`export ${all} as ${file}`), `Export the ${all} as ${file}`];
  if (rest === "/import") return [camel(`import ${all}`), `Import ${all} from a file`];
  const verb = rest === "" ? { GET: "list", POST: "create" }[method] : SINGLE.test(rest) ? ON_ONE[method] : undefined;
  if (verb === undefined) return null;
  const words = verb === "list" ? all : one;
  const shown = { list: "List the", create: `Create ${article(one)}`, get: `Show ${article(one)}` }[verb];
  return [camel(`${verb} ${words}`), `${shown ?? `${verb.charAt(0).toUpperCase()}${verb.slice(1)} ${article(one)}`} ${words}`];
}

const SINGLE = /^\/:[a-z]+$/;
const ON_ONE: Readonly<Record<string, string>> = { GET: "get", PATCH: "change", PUT: "replace", DELETE: "delete" };

function article(word: string): string {
  return /^[aeiou]/.test(word) ? "an" : "a";
}

function camel(words: string): string {
  return words.replaceAll(/[ .-]([a-z])/g, (_, letter: string) => letter.toUpperCase());
}
