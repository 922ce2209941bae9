/** @jsxRuntime automatic @jsxImportSource hono/jsx */
import { filterQuery, KNOWN_CHOICES, rangeText, STATE_CHOICES, type ServicesFilter } from "../filters.ts";
import { formatCount } from "../format.ts";
import { RemovableChip } from "../parts.tsx";
import { paths } from "../paths.ts";

/** The filter as a plain GET form, what is wrong in it, and its parts as chips. */
export function FilterForm({ filter, hidden }: { readonly filter: ServicesFilter; readonly hidden: number }) {
  return (
    <search>
      <form class="filters" method="get" action={paths.services()}>
        <div class="field field-wide">
          <label for="cidr">Network or address</label>
          <input
            id="cidr"
            name="cidr"
            value={filter.text.cidr}
            placeholder="192.0.2.0/24"
            autocomplete="off"
            spellcheck={false}
            aria-invalid={filter.problems.cidr === null ? undefined : "true"}
            aria-describedby={filter.problems.cidr === null ? undefined : "filter-problem"}
          />
        </div>
        <div class="field">
          <label for="port">Port</label>
          <input
            id="port"
            name="port"
            value={filter.text.port}
            inputmode="numeric"
            placeholder="443"
            autocomplete="off"
            aria-invalid={filter.problems.port === null ? undefined : "true"}
            aria-describedby={filter.problems.port === null ? undefined : "filter-problem"}
          />
        </div>
        <div class="field">
          <label for="state">State</label>
          <select id="state" name="state">
            {STATE_CHOICES.map((choice) => (
              <option value={choice.value} selected={choice.value === filter.choice}>
                {choice.label}
              </option>
            ))}
          </select>
        </div>
        <div class="field">
          <label for="known">Known-good</label>
          <select id="known" name="known">
            {KNOWN_CHOICES.map((choice) => (
              <option value={choice.value} selected={choice.value === filter.known}>
                {choice.label}
              </option>
            ))}
          </select>
        </div>
        <div class="field field-go">
          <button type="submit">Filter</button>
        </div>
      </form>
      <Problems filter={filter} />
      <Chips filter={filter} hidden={hidden} />
    </search>
  );
}

function Problems({ filter }: { readonly filter: ServicesFilter }) {
  const problems = Object.values(filter.problems).filter((problem) => problem !== null);
  if (problems.length === 0) return null;
  return (
    <div class="problem" id="filter-problem" role="alert">
      <p>Nothing is listed until this is put right.</p>
      {problems.map((problem) => (
        <p>{problem}</p>
      ))}
    </div>
  );
}

function Chips({ filter, hidden }: { readonly filter: ServicesFilter; readonly hidden: number }) {
  const network = rangeText(filter);
  const query = filterQuery(filter);
  const label = STATE_CHOICES.find((choice) => choice.value === filter.choice)?.label ?? filter.choice;
  return (
    <ul class="chips" aria-label="Filters in use">
      <li>
        {filter.choice === "active" ? (
          <span class="chip chip-fixed">state: {label}</span>
        ) : (
          <RemovableChip text={`state: ${label}`} href={paths.services({ ...query, state: "" })} />
        )}
      </li>
      <li>
        {filter.known === "hide" ? (
          <a class="chip chip-fixed" href={paths.services({ ...query, known: "show" })}>
            known-good: {formatCount(hidden)} hidden{hidden > 0 && <span class="chip-do">show</span>}
          </a>
        ) : (
          <RemovableChip
            text={filter.known === "only" ? "known-good: alone" : "known-good: shown"}
            href={paths.services({ ...query, known: "" })}
          />
        )}
      </li>
      {network !== null && (
        <li>
          <RemovableChip text={`network: ${network}`} href={paths.services({ ...query, cidr: "" })} />
        </li>
      )}
      {filter.port !== null && (
        <li>
          <RemovableChip text={`port: ${filter.port}`} href={paths.services({ ...query, port: "" })} />
        </li>
      )}
    </ul>
  );
}
