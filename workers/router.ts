import { isLegacyRequest } from "../src/api/legacy-path.ts";
import { isFailure, firstGood, type Patience } from "./fall-through.ts";
import { byNearness, type Point } from "./nearest.ts";

/** One region's API and pages in this process. */
export type RegionApp = {
  readonly name: string;
  readonly latitude: number | null;
  readonly longitude: number | null;
  /** Every answer carries `x-portolan-region`. */
  fetch(request: Request, call: Call): Response | Promise<Response>;
};

/** What a runtime knows about one request. */
export type Call = {
  /** Where the caller is; null when nobody knows. */
  readonly point: Point | null;
  /** Address of the connection, as the runtime knows it; null or left out where it does not. */
  readonly address?: string | null;
  /** The runtime's own bindings and context, handed through to the app. */
  readonly env?: unknown;
  readonly context?: unknown;
  /** Lets work go on after the answer; without it the runtime does so anyway. */
  readonly waitUntil?: (work: Promise<unknown>) => void;
};

export type Router = { fetch(request: Request, call: Call): Response | Promise<Response> };

export type RouterOptions = {
  /** Milliseconds of the Unix epoch. */
  readonly clock: () => number;
  readonly patience?: Patience;
};

/** Names the region that answered; in a request it names the only one that may. */
export const REGION_HEADER = "x-portolan-region";
/** All three regions together stay below the 2 s in which an answer is promised. */
const PATIENCE: Patience = { stepMs: 500, totalMs: 1_900 };
const TRIES_MAX = 3;
/** A region that failed is asked last for so long: not every reader has to wait for it anew. */
const REST_MS = 5_000;
/** They tell about one region, so another one's answer would be a wrong one. */
const OWN_STATE = new Set(["/healthz", "/readyz", "/version", "/v1/changes/stream"]);

/**
 * Sends each request to the region nearest to its caller. Reads (GET, HEAD) go on to the next nearest when one fails or keeps silent;
 * writes never do: after a time-out nobody knows whether the first region took them.
 */
export function createRouter(regions: readonly RegionApp[], { clock, patience = PATIENCE }: RouterOptions): Router {
  const restsUntilMs = new Map<string, number>();
  const inOrder = (point: Point | null): readonly RegionApp[] => {
    if (regions.length === 1) return regions;
    const nowMs = clock();
    const rests = ({ name }: RegionApp): boolean => (restsUntilMs.get(name) ?? 0) > nowMs;
    const near = byNearness(regions, point);
    return [...near.filter((region) => !rests(region)), ...near.filter(rests)];
  };
  const read = async (order: readonly RegionApp[], request: Request, call: Call): Promise<Response> => {
    const tries = order.slice(0, TRIES_MAX);
    const running = tries.map(() => Promise.withResolvers<void>());
    const result = await firstGood(
      tries.map((region) => () => region.fetch(request, call)),
      patience,
      (index, isGood) => {
        const name = tries[index]?.name ?? "";
        if (isGood) restsUntilMs.delete(name);
        else restsUntilMs.set(name, clock() + REST_MS);
        running[index]?.resolve();
      },
    );
    // Whether the first one failed or was merely slow shows after the answer: until then it is looked at, but not for ever.
    call.waitUntil?.(Promise.race([running[0]?.promise, new Promise((resolve) => setTimeout(resolve, patience.totalMs))]));
    return result?.response ?? nobodyAnswered(tries, patience.totalMs);
  };
  return {
    fetch: (request, call) => {
      const pinned = request.headers.get(REGION_HEADER);
      const order = pinned === null ? inOrder(call.point) : regions.filter(({ name }) => name === pinned);
      const first = order[0];
      if (first === undefined) return unknownRegion(pinned, regions);
      if (order.length === 1 || !mayMove(request)) return first.fetch(request, call);
      const atOnce = first.fetch(request, call);
      if (atOnce instanceof Response && !isFailure(atOnce)) return atOnce;
      return read([{ ...first, fetch: () => atOnce }, ...order.slice(1)], request, call);
    },
  };
}

function mayMove(request: Request): boolean {
  const { pathname } = new URL(request.url);
  // Jobs of the old kind have numbers of one region.
  return (request.method === "GET" || request.method === "HEAD") && !OWN_STATE.has(pathname) && !isLegacyRequest(request, pathname);
}

function nobodyAnswered(tried: readonly RegionApp[], withinMs: number): Response {
  const names = tried.map(({ name }) => name).join(", ");
  return problem(503, tried[0]?.name ?? "", {
    title: "A part that is needed does not answer",
    code: "unavailable",
    detail: `none of the regions ${names} answered within ${withinMs} ms; check their stores at /readyz, then repeat: repeating is safe`,
  });
}

function unknownRegion(pinned: string | null, regions: readonly RegionApp[]): Response {
  const names = regions.map(({ name }) => name).join(", ");
  return problem(400, regions[0]?.name ?? "", {
    title: "The request is wrong",
    code: "invalid",
    detail: `the header ${REGION_HEADER} names "${(pinned ?? "").slice(0, 80)}", but this API serves ${names}; name one of these or leave it out`,
  });
}

/** A problem that no region's own app can tell. */
function problem(status: 400 | 503, region: string, told: { title: string; code: string; detail: string }): Response {
  const body = { type: `urn:portolan:problem:${told.code}`, status, request_id: crypto.randomUUID(), ...told };
  const headers: Record<string, string> = {
    "content-type": "application/problem+json",
    "cache-control": "no-store",
    "x-content-type-options": "nosniff",
    "x-request-id": body.request_id,
    [REGION_HEADER]: region,
  };
  if (status === 503) headers["retry-after"] = "2";
  return new Response(JSON.stringify(body), { status, headers });
}
