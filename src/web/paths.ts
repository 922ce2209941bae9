/** Every URL that a page links to, in one place: a renamed page is one edit. */

/** Filter of the services page as it stands in the URL. Empty strings mean "not given". */
export type ServicesQuery = {
  /** Filter as text. */
  readonly q?: string;
  readonly sort?: string;
  readonly cursor?: string;
  readonly trail?: string;
};

function withQuery(path: string, query: Readonly<Record<string, string | undefined>>): string {
  const entries = Object.entries(query).filter((entry): entry is [string, string] => entry[1] !== undefined && entry[1] !== "");
  if (entries.length === 0) return path;
  return `${path}?${new URLSearchParams(entries).toString()}`;
}

/** A tag of the API as part of a path. */
export function slugOf(tag: string): string {
  return tag.toLowerCase().replaceAll(/[^a-z0-9]+/g, "-");
}

export const paths = {
  services: (query: ServicesQuery = {}) => withQuery("/", query),
  exportServices: (format: string, q: string) => withQuery(`/export/services.${format}`, { q }),
  host: (address: string) => `/hosts/${encodeURIComponent(address)}`,
  why: ({ address, protocol, port }: { readonly address: string; readonly protocol: string; readonly port: number }) =>
    `/hosts/${encodeURIComponent(address)}/${port}/${protocol}`,
  changes: (query: { readonly show?: string; readonly cursor?: string } = {}) => withQuery("/changes", query),
  jobs: (cursor?: string) => withQuery("/jobs", { cursor }),
  job: (id: string, page?: { readonly shards?: string }) => withQuery(`/jobs/${encodeURIComponent(id)}`, { shards: page?.shards }),
  pauseJob: (id: string) => `/jobs/${encodeURIComponent(id)}/pause`,
  resumeJob: (id: string) => `/jobs/${encodeURIComponent(id)}/resume`,
  releaseTile: (id: string, tile: number) => `/jobs/${encodeURIComponent(id)}/tiles/${tile}/release`,
  regions: () => "/regions",
  login: (next?: string) => withQuery("/login", { next: next === "/" ? undefined : next }),
  logout: () => "/logout",
  asset: (name: "portolan.css" | "htmx.min.js" | "rose.svg" | "rhumbs.svg") => `/static/${name}`,
  docs: () => "/docs",
  docsTag: (tag: string, operation?: string) => `/docs/${slugOf(tag)}${operation === undefined ? "" : `#${operation}`}`,
  docsSchema: (name: string) => `/docs/schemas#${name}`,
  apiDescription: () => "/openapi.json",
} as const;

/**
 * The path to go to after signing in: only a path of this site passes, anything else becomes `/`.
 *
 * `//host` and `/\host` are addresses of other sites to a browser.
 */
export function safeNext(next: string | undefined): string {
  if (next === undefined || next.length > 2_000 || !/^\/(?![/\\])[\x20-\x7e]*$/.test(next) || next.includes("\\")) return paths.services();
  return next;
}
