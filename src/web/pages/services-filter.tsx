/** @jsxRuntime automatic @jsxImportSource hono/jsx */
import type { SearchCounts, SearchSort } from "../../ledger/search/query.ts";
import { type Chip, chipsOf, type ServicesFilter } from "../filters.ts";
import { formatCount } from "../format.ts";
import { RemovableChip } from "../parts.tsx";
import { paths } from "../paths.ts";

const SORT_LABELS: Readonly<Record<SearchSort, string>> = {
  address: "by address",
  "-address": "by address, last first",
  port: "by port",
  "-port": "by port, last first",
};

type Props = { readonly filter: ServicesFilter; readonly hidden: SearchCounts["hiddenKnownGood"] | null };

/** The filter as a plain GET form, what is wrong in it, and its parts as chips. */
export function FilterForm({ filter, hidden }: Props) {
  return (
    <search>
      <form class="filters" method="get" action={paths.services()}>
        <div class="field field-wide">
          <label for="q">Filter</label>
          <input
            id="q"
            name="q"
            value={filter.text}
            placeholder="port:22 net:192.0.2.0/24 -group:edge"
            autocomplete="off"
            autocapitalize="none"
            spellcheck={false}
            aria-invalid={filter.problem === null ? undefined : "true"}
            aria-describedby={filter.problem === null ? undefined : "filter-problem"}
          />
        </div>
        <div class="field">
          <label for="sort">Order</label>
          <select id="sort" name="sort">
            {Object.entries(SORT_LABELS).map(([value, label]) => (
              <option value={value === "address" ? "" : value} selected={value === filter.sort}>
                {label}
              </option>
            ))}
          </select>
        </div>
        <div class="field field-go">
          <button type="submit">Filter</button>
        </div>
        <FilterHelp />
      </form>
      {filter.problem === null ? <Chips filter={filter} hidden={hidden} /> : <Problem text={filter.problem} />}
    </search>
  );
}

const HELP: readonly (readonly [string, string])[] = [
  ["192.0.2.7  192.0.2.0/24", "an address or a network by itself"],
  ["443  tcp/443  port:22,80-90", "ports; commas mean or"],
  ["proto:udp  state:open,missing,closed", "protocol and state"],
  ["group:edge  region:eu  scanner:de01", "range group, who saw it"],
  ["seen:<24h  first:>7d", "last seen, first seen"],
  ["label:stale  change:reopened  vantage:disagree", "what is said beside a state"],
  ["known:show  known:only", "known-good services, hidden by default"],
  ["-port:22", "all but this; terms with spaces between them hold together"],
];

function FilterHelp() {
  return (
    <details class="filter-help">
      <summary>What can be written here</summary>
      <dl>
        {HELP.map(([example, meaning]) => (
          <div>
            <dt class="mono">{example}</dt>
            <dd>{meaning}</dd>
          </div>
        ))}
      </dl>
    </details>
  );
}

function Problem({ text }: { readonly text: string }) {
  return (
    <div class="problem" id="filter-problem" role="alert">
      <p>Nothing is listed until this is put right.</p>
      <p>{text}</p>
    </div>
  );
}

function Chips({ filter, hidden }: Props) {
  return (
    <ul class="chips" aria-label="Filters in use">
      {chipsOf(filter).map((chip) => (
        <li>
          {chip.isDefault ? (
            <DefaultChip chip={chip} hidden={hidden} />
          ) : (
            <RemovableChip text={chip.text} href={paths.services(chip.without)} />
          )}
        </li>
      ))}
    </ul>
  );
}

/** What holds when nothing is said: looks different, and can be taken away as well. */
function DefaultChip({ chip, hidden }: { readonly chip: Chip; readonly hidden: Props["hidden"] }) {
  const count = chip.text === "known:hide" && hidden !== null && hidden.count > 0 ? hidden : null;
  return (
    <a class="chip chip-fixed" href={paths.services(chip.without)}>
      <span>
        <span class="visually-hidden">Remove default filter </span>
        {chip.text}
        {count !== null && ` (${countText(count)} hidden)`}
      </span>
      <span class="x" aria-hidden="true">
        ✕
      </span>
    </a>
  );
}

/** `12`, or `at least 10,000`. */
export function countText({ count, exact }: { readonly count: number; readonly exact: boolean }): string {
  return `${exact ? "" : "at least "}${formatCount(count)}`;
}
