import type { SightingTable } from "../core/columns.ts";
import type { Acceptance } from "../core/messages/record.ts";
import type { Sql } from "./database.ts";

// The rows travel as one blob of rows of one length: 16 bytes of address, then decimal digits, which `cast` reads from a
// blob too: protocol × 65536 + port, seconds after the earliest row. That is cheaper than JSON on both sides. They are in
// the order of the primary key, because unsorted ones would dirty nearly every page.
const ADDRESS_BYTES = 16;
const SERVICE_DIGITS = 7;
const TIME_AT = ADDRESS_BYTES + SERVICE_DIGITS;

const UPSERT_SIGHTINGS = `with recursive place(at) as (select 1 where length(?1) > 0 union all select at + ?6 from place where at + ?6 < length(?1))
  insert into sighting(ip, port, proto, log, first_at_s, last_at_s, last_rseq, own_rseq, signer)
  select substr(?1, at, 16), cast(substr(?1, at + 16, 7) as integer) & 65535, cast(substr(?1, at + 16, 7) as integer) >> 16,
    (select n from log where id = ?2), ?5 + cast(substr(?1, at + 23, ?6 - 23) as integer), ?5 + cast(substr(?1, at + 23, ?6 - 23) as integer),
    ?3, iif(?4 is null, -1, ?3), coalesce((select n from signer where key = ?4), 0)
  from place where true
  on conflict do update set first_at_s = min(first_at_s, excluded.first_at_s), last_at_s = max(last_at_s, excluded.last_at_s),
    last_rseq = max(last_rseq, excluded.last_rseq), own_rseq = max(own_rseq, excluded.own_rseq),
    signer = iif(excluded.own_rseq > own_rseq, excluded.signer, signer)`;

/**
 * Rows seen at one position. `signer` is the key of the scanner that saw them, null for an upload, which lends no vantage.
 * Of many positions in a log only the highest ones stay, so the order of arrival does not matter.
 */
export function upsertSightings(table: SightingTable, { log, rseq }: Pick<Acceptance, "log" | "rseq">, signer: string | null): Sql {
  const earliestS = table.observedAtS.reduce((earliest, at) => Math.min(earliest, at), table.observedAtS[0] ?? 0);
  const latestS = table.observedAtS.reduce((latest, at) => Math.max(latest, at), earliestS);
  const rowBytes = TIME_AT + String(latestS - earliestS).length;
  return { sql: UPSERT_SIGHTINGS, args: [packRows(table, earliestS, rowBytes), log, rseq, signer, earliestS, rowBytes] };
}

function packRows({ count, addresses, ports, protocols, observedAtS }: SightingTable, earliestS: number, rowBytes: number): Uint8Array {
  const bytes = new Uint8Array(count * rowBytes);
  for (let row = 0; row < count; row += 1) {
    const at = row * rowBytes;
    for (let byte = 0; byte < ADDRESS_BYTES; byte += 1) bytes[at + byte] = addresses[row * ADDRESS_BYTES + byte] ?? 0;
    writeDigits(bytes, at + ADDRESS_BYTES, at + TIME_AT, (protocols[row] ?? 0) * 65_536 + (ports[row] ?? 0));
    writeDigits(bytes, at + TIME_AT, at + rowBytes, (observedAtS[row] ?? 0) - earliestS);
  }
  return bytes;
}

const DIGIT_ZERO = 48;

/** Decimal digits with zeros in front, up to `end` (exclusive). */
function writeDigits(bytes: Uint8Array, begin: number, end: number, value: number): void {
  let rest = value;
  for (let at = end - 1; at >= begin; at -= 1) {
    const tenth = Math.floor(rest / 10);
    bytes[at] = DIGIT_ZERO + rest - tenth * 10;
    rest = tenth;
  }
}
