/** Routes of the program that Portolan replaces; `GET /jobs` is also a page, and goes to whoever does not ask for one. */
export function isLegacyRequest(request: Request, path: string): boolean {
  switch (request.method) {
    case "GET":
    case "HEAD":
      return path.startsWith("/traceroute/") || (path === "/jobs" && !(request.headers.get("accept") ?? "").includes("text/html"));
    case "POST":
      return path === "/results" || path === "/traceroute";
    case "PUT":
      return path.startsWith("/results/");
    default:
      return false;
  }
}

/** Keys of these routes in the table of roles. */
export const LEGACY_ROUTES: ReadonlySet<string> = new Set([
  "POST /results",
  "PUT /results/:id",
  "GET /jobs",
  "POST /traceroute",
  "GET /traceroute/:ip",
]);

/** Bodies of these are streamed and bounded by their own reader, and may come slowly. */
export function isUploadPath(path: string): boolean {
  return path === "/results" || path.startsWith("/results/") || path === "/v1/imports";
}
