import { addressToHex, parseAddress } from "../core/address.ts";
import { decodeSightingTable, encodeSightings } from "../core/columns.ts";
import type { Probe, ProbeAnswer } from "../core/messages/probe.ts";
import type { Acceptance, Revoke } from "../core/messages/record.ts";
import { protocolNumber } from "../core/port.ts";
import type { Sql } from "./database.ts";
import { insertFrontier } from "./frontier.ts";
import { upsertSightings } from "./sightings.ts";

const ANSWERS: Readonly<Record<ProbeAnswer, number>> = { open: 0, closed: 1, filtered: 2, error: 3 };

/**
 * A probe: its open answers are sightings at its position; the negative ones wait for the order's frontier (see `deferred`).
 * It confirms only where it was accepted in the region that had ordered it, and never when its key is revoked.
 */
export function projectProbe(id: string, { order, results, endedAtMs }: Probe, key: string, acceptance: Acceptance): Sql[] {
  const rows = results.map(({ address, port, protocol, answer }) => {
    return { hex: addressToHex(parseAddress(address)), port, protocol: protocolNumber(protocol), answer: ANSWERS[answer] };
  });
  const observedAtS = Math.floor(endedAtMs / 1_000);
  const opened = results
    .filter(({ answer }) => answer === "open")
    .map(({ address, port, protocol }) => ({ address: parseAddress(address), port, protocol, observedAtS }));
  return [
    ...insertFrontier(id, order.frontier),
    {
      sql: `insert into probe(id, region, scanner, basis, signer, job, done, stamp_ms)
        select unhex(?1), ?2, ?3, ?4, s.n, unhex(?5), iif(s.revoked > 0, 4, 0), ?6 from signer s cross join log l
        where s.key = ?7 and l.id = ?8 and l.region = ?2 on conflict do nothing`,
      args: [id, order.region, order.scanner, order.basis === "sighter" ? 0 : 1, order.job, acceptance.stampMs, key, acceptance.log],
    },
    {
      sql: `insert into probe_result(probe, ip, port, proto, answer)
        select unhex(?1), unhex(value->>0), value->>1, value->>2, value->>3 from json_each(?2) where true on conflict do nothing`,
      args: [id, JSON.stringify(rows.map(({ hex, port, protocol, answer }) => [hex, port, protocol, answer]))],
    },
    ...(opened.length === 0 ? [] : [upsertSightings(decodeSightingTable(encodeSightings(opened)), acceptance, key)]),
  ];
}

/** From now on nothing of the key counts; what did is taken back as deferred work. */
export function projectRevoke({ publicKey, scanner }: Revoke): Sql[] {
  return [
    {
      sql: "insert into signer(key, name, revoked) values (?1, ?2, 1) on conflict do update set revoked = 1 where revoked = 0",
      args: [publicKey, scanner],
    },
  ];
}
