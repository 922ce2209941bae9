/** @jsxRuntime automatic @jsxImportSource hono/jsx */
import type { Change, ChangeKind, Page as LedgerPage } from "../../ledger/types.ts";
import type { ChangesFilter } from "../changes-filter.ts";
import { CHANGE_GROUPS } from "../changes-filter.ts";
import { plural, shortId } from "../format.ts";
import { MarkIcon, type Mark } from "../icons.tsx";
import { Page, type Frame } from "../layout.tsx";
import { Command, Empty, Pager, When } from "../parts.tsx";
import { paths } from "../paths.ts";
import { serviceName } from "../../core/service-names.ts";

export type ChangesPageProps = { readonly frame: Frame; readonly filter: ChangesFilter; readonly page: LedgerPage<Change> };

/** What became of ports, the newest first. */
export function ChangesPage({ frame, filter, page }: ChangesPageProps) {
  return (
    <Page frame={frame} title="Changes" section="changes">
      <h1>Changes</h1>
      <p class="lede">What opened and what closed, in the order in which this region came to know it. Each change names its cause.</p>
      <Groups filter={filter} />
      {page.items.length === 0 ? <NoChanges filter={filter} /> : <ChangesTable changes={page.items} nowMs={frame.nowMs} />}
      {(page.next !== null || filter.cursor !== null) && (
        <Pager
          label="Pages of changes"
          previous={filter.cursor === null ? null : paths.changes({ show: filter.group.name })}
          next={page.next === null ? null : paths.changes({ show: filter.group.name, cursor: page.next })}
          where={plural(page.items.length, "change")}
        />
      )}
    </Page>
  );
}

function Groups({ filter }: { readonly filter: ChangesFilter }) {
  return (
    <nav aria-label="Kinds of change">
      <ul class="chips">
        {CHANGE_GROUPS.map((group) => (
          <li>
            <a class="chip" href={paths.changes({ show: group.name })} aria-current={group === filter.group ? "true" : undefined}>
              {group.label}
            </a>
          </li>
        ))}
      </ul>
    </nav>
  );
}

function NoChanges({ filter }: { readonly filter: ChangesFilter }) {
  if (filter.group.kinds !== null || filter.cursor !== null) {
    return (
      <Empty title="No such change here">
        <p>
          Nothing of this kind on this page. <a href={paths.changes({})}>Show all changes</a>
        </p>
      </Empty>
    );
  }
  return (
    <Empty title="Nothing has changed yet">
      <p>The first job will fill this: everything that it finds open is new then. To start one:</p>
      <Command text="npx portolan plan start NAME" />
    </Empty>
  );
}

function ChangesTable({ changes, nowMs }: { readonly changes: readonly Change[]; readonly nowMs: number }) {
  return (
    <table class="stack" role="table">
      <caption>Newest first</caption>
      <thead role="rowgroup">
        <tr role="row">
          {["Change", "Address", "Port", "Registered for", "When", "Cause"].map((heading) => (
            <th scope="col" role="columnheader">
              {heading}
            </th>
          ))}
        </tr>
      </thead>
      <tbody role="rowgroup">
        {changes.map((change) => (
          <ChangeRow change={change} nowMs={nowMs} />
        ))}
      </tbody>
    </table>
  );
}

function ChangeRow({ change, nowMs }: { readonly change: Change; readonly nowMs: number }) {
  const { address, port, protocol } = change;
  return (
    <tr role="row">
      <td role="cell" class="cell-state">
        <ChangeWord kind={change.kind} />
      </td>
      <td role="cell" class={address === null ? "cell-blank" : "cell-address cell-full"}>
        {address !== null && (
          <a class="plain address" href={paths.host(address)}>
            {address}
          </a>
        )}
      </td>
      <td role="cell" class={port === null ? "cell-blank" : "cell-port nowrap"}>
        {address !== null && port !== null && protocol !== null && (
          <a class="plain mono" href={paths.why({ address, port, protocol })} title="Why it is so now">
            {port}/{protocol}
          </a>
        )}
      </td>
      <td role="cell" class="quiet cell-name">
        {port === null || protocol === null ? "" : (serviceName(protocol, port) ?? "")}
      </td>
      <td role="cell" class="nowrap">
        <When timeMs={change.atMs} nowMs={nowMs} />
      </td>
      <td role="cell" class="cell-full" data-label="by">
        <Cause change={change} />
      </td>
    </tr>
  );
}

const LOOKS: Readonly<Record<ChangeKind, { readonly mark: Mark; readonly tone: string; readonly word: string }>> = {
  "first-observed": { mark: "full", tone: "state-running", word: "first observed" },
  opened: { mark: "full", tone: "state-running", word: "opened" },
  reopened: { mark: "full", tone: "state-running", word: "reopened" },
  "seen-again": { mark: "full", tone: "state-open", word: "seen again" },
  missing: { mark: "half", tone: "state-missing", word: "missing" },
  closed: { mark: "ring", tone: "state-closed", word: "closed" },
  unmonitored: { mark: "dots", tone: "state-closed", word: "unmonitored" },
  "known-good-closed": { mark: "cross", tone: "state-incomplete", word: "known-good closed" },
  "job-held": { mark: "half", tone: "state-missing", word: "tile held" },
};

function ChangeWord({ kind }: { readonly kind: ChangeKind }) {
  const { mark, tone, word } = LOOKS[kind];
  return (
    <span class={`state ${tone}`}>
      <MarkIcon mark={mark} />
      {word}
    </span>
  );
}

function Cause({ change: { cause, job } }: { readonly change: Change }) {
  if (cause.kind === "withdrawal") return <>evidence withdrawn</>;
  if (cause.kind === "rule") return <>the registry's rules</>;
  const words = { job: "a look by", part: "a scan of", upload: "an upload", probe: "a probe for", release: "a release in" } as const;
  const word = cause.kind === "tile-complete" ? "a tile of" : words[cause.kind];
  if (job === null) return <span title={cause.id ?? undefined}>{cause.kind === "upload" ? word : cause.kind}</span>;
  return (
    <span title={cause.id ?? undefined}>
      {word}{" "}
      <a class="plain" href={paths.job(job)}>
        job {shortId(job)}
      </a>
    </span>
  );
}
