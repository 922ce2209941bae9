import type { Page, Service, ServiceQuery } from "../ledger/types.ts";
import type { ServicesFilter } from "./filters.ts";
import type { WebLedger } from "./readers.ts";

const SERVICES_PER_PAGE = 50;
/** Begins the cursors of the second part of "all states": the closed ones after the active ones. */
const CLOSED = "closed.";

/** One page of services, active ones first: "all states" lists those, then the closed ones, each by address. */
export async function listServices(ledger: WebLedger, filter: ServicesFilter): Promise<Page<Service>> {
  const { choice, cursor } = filter;
  if (choice !== "all") return ledger.listServices(queryOf(filter, { state: choice, cursor, limit: SERVICES_PER_PAGE }));
  if (cursor?.startsWith(CLOSED) === true) {
    const rest = cursor.slice(CLOSED.length);
    return closedPage(ledger, filter, { cursor: rest === "" ? null : rest, limit: SERVICES_PER_PAGE });
  }
  const active = await ledger.listServices(queryOf(filter, { state: "active", cursor, limit: SERVICES_PER_PAGE }));
  if (active.next !== null) return active;
  const room = SERVICES_PER_PAGE - active.items.length;
  if (room === 0) {
    const first = await closedPage(ledger, filter, { cursor: null, limit: 1 });
    return { items: active.items, next: first.items.length > 0 ? CLOSED : null };
  }
  const closed = await closedPage(ledger, filter, { cursor: null, limit: room });
  return { items: [...active.items, ...closed.items], next: closed.next };
}

/** How many known-good services the filter would list, were they not hidden; 0 when they are shown. */
export async function countHidden(ledger: WebLedger, filter: ServicesFilter): Promise<number> {
  if (filter.known !== "hide") return 0;
  return ledger.countKnown(queryOf(filter, { state: filter.choice, cursor: null, limit: 1 }));
}

type Part = { readonly cursor: string | null; readonly limit: number };

async function closedPage(ledger: WebLedger, filter: ServicesFilter, part: Part): Promise<Page<Service>> {
  const { items, next } = await ledger.listServices(queryOf(filter, { ...part, state: "closed" }));
  return { items, next: next === null ? null : `${CLOSED}${next}` };
}

function queryOf(
  { range, port, known }: ServicesFilter,
  part: Part & { readonly state: NonNullable<ServiceQuery["state"]> },
): ServiceQuery {
  return {
    state: part.state,
    limit: part.limit,
    known,
    ...(range === null ? {} : { range }),
    ...(port === null ? {} : { port }),
    ...(part.cursor === null ? {} : { cursor: part.cursor }),
  };
}
