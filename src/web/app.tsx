/** @jsxRuntime automatic @jsxImportSource hono/jsx */
import { Hono, type Context, type MiddlewareHandler } from "hono";
import { bodyLimit } from "hono/body-limit";
import type { ContentfulStatusCode } from "hono/utils/http-status";
import { formatAddress, parseAddress } from "../core/address.ts";
import { PortolanError } from "../core/errors.ts";
import { accountingOf } from "../api/accounting.ts";
import { withLabels } from "../api/labels.ts";
import { showRegion } from "../api/regions.ts";
import { namedVersion } from "../api/registry-version.ts";
import { searchContext } from "../api/search.ts";
import { type CallApi, exportFile, postToApi } from "./actions.ts";
import { parseChangesFilter } from "./changes-filter.ts";
import { docsPage } from "./docs.tsx";
import { parseServicesFilter } from "./filters.ts";
import { readLanes } from "./lanes.ts";
import type { Frame } from "./layout.tsx";
import { readListing } from "./listing.ts";
import { ChangesPage } from "./pages/changes.tsx";
import { byState, HostPage } from "./pages/host.tsx";
import { JobPage } from "./pages/job.tsx";
import { JobsPage } from "./pages/jobs.tsx";
import { LoginPage } from "./pages/login.tsx";
import { RegionsPage } from "./pages/regions.tsx";
import { ProblemPage } from "./pages/problem.tsx";
import { ServicesPage } from "./pages/services.tsx";
import { WhyPage } from "./pages/why.tsx";
import { paths, safeNext } from "./paths.ts";
import { readPlans, readScannersSeen, readSurroundings, type WebLedger, type WebRegistry } from "./readers.ts";
import { STATUS } from "./status.ts";
import { endSession, isSameOrigin, registryVersion, sessionToken, setPageHeaders, startSession } from "./security.ts";

export type WebDeps = {
  readonly ledger: WebLedger;
  readonly registry: WebRegistry;
  /** Whether this token lets its holder look. Throws `unavailable` when that cannot be known now. */
  authenticate(token: string): Promise<boolean>;
  /** For forms. */
  readonly callApi: CallApi;
  /** Milliseconds since 1970. */
  now(): number;
  /** Region that answers. */
  readonly region: string;
  /** Told of bugs (pages with status 500), for the log. */
  readonly onBug?: (error: unknown) => void;
};

const JOBS_PER_PAGE = 50;
const CHANGES_PER_PAGE = 50;
const SHARDS_PER_PAGE = 100;
const LOGIN_BYTES_MAX = 8_192;

/**
 * The pages, to be mounted at `/`. It answers only its own paths; for others see `notFoundPage`.
 *
 * Assets under `/static` are served by each runtime's entry from `src/web/public/static`.
 */
export function createWeb(deps: WebDeps): Hono {
  const web = new Hono();
  const signedIn = requireSession(deps);
  web.onError((error, c) => problemPage(c, deps, error));
  web.get(paths.services(), signedIn, (c) => servicesPage(c, deps));
  web.get("/export/:file{services\\.[a-z.]+}", signedIn, (c) => exportFile(c, deps.callApi, `/v1/${c.req.param("file")}`));
  web.get("/hosts/:address", signedIn, (c) => hostPage(c, deps));
  web.get("/hosts/:address/:port/:protocol", signedIn, (c) => whyPage(c, deps));
  web.get(paths.changes(), signedIn, (c) => changesPage(c, deps));
  web.get(paths.jobs(), signedIn, (c) => jobsPage(c, deps));
  web.get("/jobs/:id", signedIn, (c) => jobPage(c, deps));
  web.get(paths.regions(), signedIn, (c) => regionsPage(c, deps));
  web.post("/jobs/:id/:action{pause|resume}", (c) => jobAction(c, deps, c.req.param("action")));
  web.post("/jobs/:id/tiles/:tile{[0-9]+}/release", (c) => jobAction(c, deps, `tiles/${c.req.param("tile")}/release`));
  web.get(`${paths.docs()}/:tag?`, (c) => docsPage(c, { callApi: deps.callApi, frame: frameOf(c, deps) }));
  web.get(paths.login(), (c) => loginPage(c, deps, { next: c.req.query("next"), problem: null, status: 200 }));
  web.post(paths.login(), bodyLimit({ maxSize: LOGIN_BYTES_MAX, onError: tooLarge }), (c) => signIn(c, deps));
  web.post(paths.logout(), (c) => signOut(c));
  return web;
}

/** A page that says that there is nothing at this address; for the caller's not-found handler. */
export function notFoundPage(c: Context, deps: WebDeps): Response | Promise<Response> {
  return problemPage(c, deps, new PortolanError("not-found", "There is no such page."));
}

function frameOf(c: Context, deps: WebDeps): Frame {
  return { region: deps.region, nowMs: deps.now(), signedIn: sessionToken(c) !== null };
}

function requireSession(deps: WebDeps): MiddlewareHandler {
  return async (c, next) => {
    const token = sessionToken(c);
    if (token !== null && (await deps.authenticate(token))) {
      const named = namedVersion(registryVersion(c));
      if (named !== null) await deps.registry.seen?.(named);
      return next();
    }
    const here = new URL(c.req.url);
    setPageHeaders(c);
    return c.redirect(paths.login(`${here.pathname}${here.search}`), 303);
  };
}

async function servicesPage(c: Context, deps: WebDeps): Promise<Response> {
  const { ledger, registry, now } = deps;
  const frame = frameOf(c, deps);
  const typed = parseServicesFilter(c.req.query());
  const [{ listing, problem }, { hiddenKnownGood }, counts, latest, surroundings] = await Promise.all([
    readListing({ ledger, registry, now }, typed),
    ledger.searchCounts(await searchContext({ terms: [] }, registry, frame.nowMs)),
    ledger.counts(),
    ledger.listJobs({ limit: 1 }),
    readSurroundings({ ledger, registry, nowMs: frame.nowMs }),
  ]);
  const filter = { ...typed, problem };
  setPageHeaders(c);
  const props = { frame, filter, listing, knownGood: hiddenKnownGood.count, counts, jobs: latest.items, surroundings };
  return c.html(<ServicesPage {...props} />, problem === null ? 200 : 400);
}

async function hostPage(c: Context, deps: WebDeps): Promise<Response> {
  const text = c.req.param("address") ?? "";
  const address = formatAddress(parseAddress(text));
  if (address !== text) return c.redirect(paths.host(address), 302);
  const { ledger } = deps;
  const frame = frameOf(c, deps);
  const [found, plans] = await Promise.all([ledger.host(address), readPlans(deps.registry)]);
  const sorted = found.toSorted(byState);
  const [services, vantages, history] = await Promise.all([
    withLabels({ ledger, plans, nowMs: frame.nowMs }, sorted),
    ledger.vantages(sorted),
    readLanes(ledger, sorted),
  ]);
  setPageHeaders(c);
  return c.html(<HostPage frame={frame} address={address} services={services} vantages={vantages} history={history} />);
}

async function whyPage(c: Context, deps: WebDeps): Promise<Response> {
  const [text, portText, protocol] = [c.req.param("address") ?? "", c.req.param("port") ?? "", c.req.param("protocol") ?? ""];
  const address = formatAddress(parseAddress(text));
  const port = /^\d{1,5}$/.test(portText) ? Number(portText) : 65_536;
  if (port > 65_535 || (protocol !== "tcp" && protocol !== "udp" && protocol !== "sctp"))
    throw new PortolanError("not-found", "This is no port: a path here ends like /443/tcp or /53/udp.");
  if (address !== text) return c.redirect(paths.why({ address, port, protocol }), 302);
  const service = { address, port, protocol } as const;
  const [certificate, [vantages = []]] = await Promise.all([deps.ledger.why(service), deps.ledger.vantages([service])]);
  if (certificate === null)
    throw new PortolanError("not-found", `Nobody ever saw ${port}/${protocol} open at ${address}, so there is no verdict to explain.`);
  const frame = frameOf(c, deps);
  const scanners = certificate.verdict === "missing" ? await readScannersSeen({ ...deps, nowMs: frame.nowMs }) : [];
  setPageHeaders(c);
  return c.html(<WhyPage frame={frame} certificate={certificate} vantages={vantages} scanners={scanners} />);
}

async function changesPage(c: Context, deps: WebDeps): Promise<Response> {
  const filter = parseChangesFilter(c.req.query());
  const page = await deps.ledger.listChanges({
    limit: CHANGES_PER_PAGE,
    ...(filter.cursor === null ? {} : { cursor: filter.cursor }),
    ...(filter.group.kinds === null ? {} : { kinds: filter.group.kinds }),
  });
  setPageHeaders(c);
  return c.html(<ChangesPage frame={frameOf(c, deps)} filter={filter} page={page} />);
}

async function regionsPage(c: Context, deps: WebDeps): Promise<Response> {
  const [state, peers] = await Promise.all([deps.registry.state().catch(() => null), deps.ledger.peers()]);
  const { region } = deps;
  const regions = state === null ? null : state.regions.map((one) => showRegion(one, { state, peers, region }));
  setPageHeaders(c);
  return c.html(<RegionsPage frame={frameOf(c, deps)} regions={regions} peers={peers} />);
}

async function jobAction(c: Context, deps: WebDeps, action: string): Promise<Response> {
  const id = c.req.param("id") ?? "";
  return postToApi(c, deps.callApi, { path: `/v1/jobs/${encodeURIComponent(id)}/${action}`, back: paths.job(id) });
}

async function jobsPage(c: Context, deps: WebDeps): Promise<Response> {
  const cursor = c.req.query("cursor");
  const { items, next } = await deps.ledger.listJobs({ limit: JOBS_PER_PAGE, ...(cursor === undefined ? {} : { cursor }) });
  setPageHeaders(c);
  return c.html(<JobsPage frame={frameOf(c, deps)} jobs={items} nextCursor={next} isFirst={cursor === undefined} />);
}

async function jobPage(c: Context, deps: WebDeps): Promise<Response> {
  const id = c.req.param("id") ?? "";
  const cursor = c.req.query("shards");
  const frame = frameOf(c, deps);
  const job = /^[0-9a-f]{64}$/.test(id) ? await deps.ledger.job(id) : null;
  if (job === null) throw new PortolanError("not-found", "This region knows no such job; the list of jobs has those that it knows.");
  const query = { job: id, nowMs: frame.nowMs };
  const [page, progress, held, accounting] = await Promise.all([
    deps.ledger.listShards({ ...query, limit: SHARDS_PER_PAGE, ...(cursor === undefined ? {} : { cursor }) }),
    job.state === "running" ? deps.ledger.progress(query) : [],
    deps.ledger.heldTiles({ job: id }),
    accountingOf(deps.ledger, id),
  ]);
  setPageHeaders(c);
  return c.html(
    <JobPage frame={frame} job={job} page={page} progress={progress} cursor={cursor ?? null} held={held} accounting={accounting} />,
  );
}

type LoginAnswer = { readonly next: string | undefined; readonly problem: string | null; readonly status: ContentfulStatusCode };

function loginPage(c: Context, deps: WebDeps, answer: LoginAnswer): Response | Promise<Response> {
  setPageHeaders(c);
  const frame = { ...frameOf(c, deps), signedIn: false };
  return c.html(<LoginPage frame={frame} next={safeNext(answer.next)} problem={answer.problem} />, answer.status);
}

async function signIn(c: Context, deps: WebDeps): Promise<Response> {
  requireSameOrigin(c);
  const form = await c.req.parseBody();
  const token = typeof form["token"] === "string" ? form["token"].trim() : "";
  const next = typeof form["next"] === "string" ? form["next"] : undefined;
  if (token === "" || !(await deps.authenticate(token))) {
    const problem = "This token is not known here, or it has ended or been revoked. Check that all of it was copied.";
    return loginPage(c, deps, { next, problem, status: 401 });
  }
  setPageHeaders(c);
  startSession(c, token);
  return c.redirect(safeNext(next), 303);
}

function signOut(c: Context): Response {
  requireSameOrigin(c);
  setPageHeaders(c);
  endSession(c);
  return c.redirect(paths.login(), 303);
}

function requireSameOrigin(c: Context): void {
  if (!isSameOrigin(c.req.raw)) {
    throw new PortolanError("forbidden", "This form was not sent from a page of this site; open the sign-in page and send it from there.");
  }
}

function tooLarge(): never {
  throw new PortolanError("too-large", "This form is too large for a token; copy the token alone.");
}

/** The page for an error: a refusal with its own words, anything else as a bug that shows none of its inside. */
export function problemPage(c: Context, deps: WebDeps, error: unknown): Response | Promise<Response> {
  const known =
    error instanceof PortolanError ? error : new PortolanError("internal", "The server met an error of its own; its log has more.");
  // The log is the place for the rest: the page must not show what a stack trace tells.
  if (known.code === "internal") deps.onBug?.(error);
  setPageHeaders(c);
  return c.html(<ProblemPage frame={frameOf(c, deps)} code={known.code} message={known.message} />, STATUS[known.code]);
}
