/** @jsxRuntime automatic @jsxImportSource hono/jsx */
import type { Child } from "hono/jsx";
import { raw } from "hono/html";
import { formatUtc } from "./format.ts";
import { Rose } from "./icons.tsx";
import { paths } from "./paths.ts";

/** What every page knows about its surroundings. */
export type Frame = {
  /** Region that answers. */
  readonly region: string;
  readonly nowMs: number;
  /** Whether somebody is signed in: decides whether navigation and sign-out are shown. */
  readonly signedIn: boolean;
};

export type Section = "ports" | "changes" | "jobs" | "regions";

export type PageProps = {
  readonly frame: Frame;
  readonly title: string;
  readonly section: Section | null;
  /** Without JavaScript the page loads itself again this often; null: it stays. */
  readonly reloadS?: number | null;
  readonly children?: Child;
};

// htmx would otherwise add a stylesheet of its own, keep pages in the browser's storage, and swap error pages into a live view.
const HTMX_CONFIG = JSON.stringify({
  includeIndicatorCSS: false,
  history: false,
  noSwap: [204, 304, "4xx", "5xx"],
  defaultTimeout: 10_000,
});

/** A whole document. Everything in it comes from this site: the content security policy allows nothing else. */
export function Page({ frame, title, section, reloadS = null, children }: PageProps) {
  return (
    <>
      {raw("<!doctype html>")}
      <html lang="en">
        <head>
          <meta charset="utf-8" />
          <meta name="viewport" content="width=device-width, initial-scale=1" />
          <meta name="color-scheme" content="light dark" />
          <meta name="htmx-config" content={HTMX_CONFIG} />
          <title>{`${title} · Portolan`}</title>
          <link rel="stylesheet" href={paths.asset("portolan.css")} />
          <link rel="icon" type="image/svg+xml" href={paths.asset("rose.svg")} />
          {reloadS !== null && (
            <noscript>
              <meta http-equiv="refresh" content={String(reloadS)} />
            </noscript>
          )}
          {reloadS !== null && <script src={paths.asset("htmx.min.js")} defer />}
        </head>
        <body>
          <a class="skip" href="#content">
            Skip to content
          </a>
          <div class="neatline" aria-hidden="true" />
          <Masthead frame={frame} section={section} />
          <main id="content" tabindex={-1}>
            {children}
          </main>
          <footer class="colophon">
            <span>
              As of <time datetime={new Date(frame.nowMs).toISOString()}>{formatUtc(frame.nowMs)}</time>
            </span>
            <span>All times are UTC</span>
            <span>A port is shown closed only on complete evidence</span>
            <a href={paths.docs()}>API</a>
          </footer>
        </body>
      </html>
    </>
  );
}

function Masthead({ frame, section }: { readonly frame: Frame; readonly section: Section | null }) {
  return (
    <header class="masthead">
      <a class="brand" href={paths.services()}>
        <Rose />
        Portolan
      </a>
      {frame.signedIn && (
        <nav aria-label="Main">
          <ul>
            <li>
              <a href={paths.services()} aria-current={section === "ports" ? "page" : undefined}>
                Ports
              </a>
            </li>
            <li>
              <a href={paths.changes()} aria-current={section === "changes" ? "page" : undefined}>
                Changes
              </a>
            </li>
            <li>
              <a href={paths.jobs()} aria-current={section === "jobs" ? "page" : undefined}>
                Jobs
              </a>
            </li>
            <li>
              <a href={paths.regions()} aria-current={section === "regions" ? "page" : undefined}>
                Regions
              </a>
            </li>
          </ul>
        </nav>
      )}
      <div class="here">
        <span>
          region <strong>{frame.region}</strong>
        </span>
        {frame.signedIn && (
          <form method="post" action={paths.logout()}>
            <button class="button-quiet" type="submit">
              Sign out
            </button>
          </form>
        )}
      </div>
    </header>
  );
}
