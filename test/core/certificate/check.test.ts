import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { checkCertificate } from "../../../src/core/certificate/check.ts";
import type { Certificate } from "../../../src/core/certificate/schema.ts";
import { type Case, closedCase, EU, keyOf, look, Logs, part, probe, SERVICE, tools, upload, US } from "./case.ts";

function revoke(logs: Logs): string {
  return logs.add(US, { kind: "revoke", content: { version: 1, scanner: "scanner-3", publicKey: keyOf("scanner-3"), reason: "stolen" } });
}

function problemsOf(certificate: unknown): string[] {
  const result = checkCertificate(certificate, tools);
  return result.ok ? [] : result.problems;
}

describe("a certificate of a closed service", () => {
  test("is accepted when everything follows", () => {
    expect(checkCertificate(closedCase().certificate, tools)).toEqual({ ok: true, verdict: "closed" });
  });

  const { certificate, looks } = closedCase();
  const [first, second] = certificate.misses;
  const without = (kind: string): Certificate => ({
    ...certificate,
    records: certificate.records.filter(({ statement }) => statement.kind !== kind),
  });
  const refused: [string, unknown, RegExp][] = [
    ["with one miss where two are asked for", { ...certificate, misses: [second] }, /after 1 misses/],
    ["with one job counted twice", { ...certificate, misses: [second, second] }, /stands twice/],
    ["with its misses out of sequence", { ...certificate, misses: [second, first] }, /planned before/],
    ["without its confirm", { ...certificate, confirms: [] }, /eu has to confirm/],
    ["about an address outside the tile", { ...certificate, service: { ...SERVICE, address: "192.0.2.16" } }, /not in tile 0/],
    ["about a port outside the tile", { ...certificate, service: { ...SERVICE, port: 81 } }, /not in tile 0/],
    ["about another protocol", { ...certificate, service: { ...SERVICE, protocol: "udp" } }, /not in tile 0/],
    ["with an address in another spelling", { ...certificate, service: { ...SERVICE, address: "::ffff:192.0.2.5" } }, /shortest text/],
    ["with a sighting that no job knew", { ...certificate, sightings: [{ ...certificate.sightings[0], rseq: 99 }] }, /did not know/],
    ["without its sightings' records", without("part"), /its record is not there/],
    ["without its jobs", without("job"), /the job is not there/],
    ["without its reports", without("report"), /its report is not there/],
    ["without its tile-completes", without("tile-complete"), /no tile-complete/],
    ["when less was held than its jobs knew", { ...certificate, held: { ...certificate.held, [US]: -1 } }, /held/],
    ["when a log was not held at all", { ...certificate, held: { [EU]: certificate.held[EU] } }, /was held/],
    ["when a reporter's key was revoked", { ...certificate, revoked: [keyOf("scanner-2")] }, /revoked/],
    ["when the confirming key was revoked", { ...certificate, revoked: [keyOf("scanner-1")] }, /revoked/],
    [
      "when us has seen it too, by its own scanner",
      { ...certificate, sightings: certificate.sightings.map((one) => ({ ...one, ownRseq: 0 })) },
      /upload is no sighting/,
    ],
    ["with another verdict", { ...certificate, verdict: "open" }, /there are misses/],
    ["with an unknown member", { ...certificate, note: "trust me" }, /note|unrecognized/i],
    ["that is nothing at all", null, /./],
  ];
  test.each(refused)("is refused %s", (_, changed, problem) => {
    expect(problemsOf(changed).join("\n")).toMatch(problem);
  });

  const built: [string, Case, RegExp][] = [
    ["whose last tile is held", closedCase({ second: { held: "too many" } }), /brake holds/],
    ["whose second job ran at the same time", closedCase({ second: { frontier: { [EU]: 0, [US]: 0 } } }), /planned before/],
    ["whose second job did not know the upload", closedCase({ second: { frontier: { [EU]: 4 } } }), /did not know/],
    [
      "whose confirm is older than its miss",
      closedCase({ probe: (logs, job) => probe(logs, job, { frontier: { [EU]: 4, [US]: 0 } }) }),
      /has to confirm/,
    ],
    [
      "whose confirm did not know the upload",
      closedCase({ probe: (logs, job) => probe(logs, job, { frontier: { [EU]: 8 } }) }),
      /has to confirm/,
    ],
    ["whose confirm could not ask", closedCase({ probe: (logs, job) => probe(logs, job, {}, "error") }), /has to confirm/],
    ["whose confirm found it open", closedCase({ probe: (logs, job) => probe(logs, job, {}, "open") }), /has to confirm/],
    [
      "confirmed by one scanner that had not seen it",
      closedCase({ probe: (logs, job) => probe(logs, job, { basis: "others" }) }),
      /has to confirm/,
    ],
    [
      "confirmed in a region that did not have to",
      closedCase({ probe: (logs, job) => probe(logs, job, { region: "us" }) }),
      /has to confirm/,
    ],
    ["with two reports for two of three shards", closedCase({ second: { shards: [1, 3] } }), /does not name the shards 1 to 2/],
    ["with a partial report", closedCase({ second: { partial: 2 } }), /partial/],
    ["with a report that its keeper found partial", closedCase({ second: { doubted: 2 } }), /found it complete/],
    [
      "with a report that another scanner signed",
      closedCase({ second: { signers: ["scanner-1", "scanner-1"] } }),
      /signed by somebody else/,
    ],
    ["whose reporter has another key than its job names", closedCase({ second: { memberKey: () => keyOf("scanner-1") } }), /another key/],
    [
      "whose confirm another scanner signed",
      closedCase({ probe: (logs, job) => probe(logs, job, {}, "closed", { author: "scanner-2" }) }),
      /has to confirm/,
    ],
    [
      "whose confirm was accepted elsewhere",
      closedCase({ probe: (logs, job) => probe(logs, job, {}, "closed", { log: US }) }),
      /has to confirm/,
    ],
    [
      "whose confirm knew more than was held",
      closedCase({ probe: (logs, job) => probe(logs, job, { frontier: { ...logs.frontier(), [US]: 5 } }) }),
      /has to confirm/,
    ],
    ["with a sighting that is none", closedCase({ told: (logs) => revoke(logs) }), /does not say that the service was open/],
  ];
  test.each(built)("is refused: one %s", (_, { certificate: changed }, problem) => {
    expect(problemsOf(changed).join("\n")).toMatch(problem);
  });

  test("is accepted again when the held tile was released, and not when another one was", () => {
    const { logs, looks: both, certificate: held } = closedCase({ second: { held: "too many" } });
    const released = (tileComplete: string): Certificate => {
      logs.add(EU, {
        kind: "release",
        content: { version: 1, job: both[1]?.job ?? "", tile: 0, tileComplete, cause: "operator", by: "ann", agreeing: null },
      });
      return { ...held, held: logs.frontier(), records: [...logs.records.values()] };
    };
    expect(problemsOf(released(both[0]?.tileComplete ?? "")).join()).toMatch(/brake holds/);
    expect(problemsOf(released(both[1]?.tileComplete ?? ""))).toEqual([]);
  });

  test("is refused when its reports change shards, or one of them is missing", () => {
    const { logs, looks: both, certificate: whole } = closedCase();
    const [one, two] = both[1]?.reports ?? [];
    for (const reports of [
      [{ shard: 1, id: one }],
      [
        { shard: 1, id: two },
        { shard: 2, id: one },
      ],
      [
        { shard: 1, id: one },
        { shard: 3, id: two },
      ],
    ]) {
      const content = {
        version: 1 as const,
        job: both[1]?.job ?? "",
        tile: 0,
        reports: reports.map(({ shard, id = "" }) => ({ shard, id })),
        held: null,
      };
      const tileComplete = logs.add(EU, { kind: "tile-complete", content });
      const miss = { job: both[1]?.job ?? "", tile: 0, tileComplete, tileCompletes: [tileComplete] };
      const certificate = { ...whole, held: logs.frontier(), misses: [whole.misses[0], miss], records: [...logs.records.values()] };
      expect(problemsOf(certificate).join()).toMatch(/shard/);
    }
  });

  test("is refused for any bit of any record, signature or position that is altered", () => {
    const text = JSON.stringify(certificate.records);
    // Digits and letters of values: what is hashed, signed, or says where it stands.
    const places = [...text.matchAll(/[0-9a-f](?=[0-9a-f]{8})/g)].map(({ index }) => index);
    fc.assert(
      fc.property(fc.constantFrom(...places), fc.constantFrom(..."0123456789abcdef"), (place, letter) => {
        fc.pre(text[place] !== letter);
        const records = parsed(`${text.slice(0, place)}${letter}${text.slice(place + 1)}`);
        // A digit of a number became a letter.
        fc.pre(records !== null);
        expect(problemsOf({ ...certificate, records })).not.toEqual([]);
      }),
      { numRuns: 400 },
    );
  });

  test("is refused when an author has not signed, or two records share a position", () => {
    const [first, ...rest] = certificate.records;
    if (first === undefined) throw new Error("no records");
    const unsigned = { ...first, author: { ...first.author, signature: "A".repeat(86) } };
    expect(problemsOf({ ...certificate, records: [unsigned, ...rest] }).join()).toMatch(/has not signed it/);
    const other = new Logs();
    upload(other, EU, "another beginning");
    expect(problemsOf({ ...certificate, records: [...certificate.records, ...other.records.values()] }).join()).toMatch(
      /another record has its position/,
    );
  });

  test("needs every region on the list that has seen the service, not the home alone", () => {
    const both = (confirm: (logs: Logs, job: string) => string): Certificate => {
      const { certificate: seen } = closedCase({ told: (logs) => part(logs, US), probe: confirm });
      return { ...seen, sightings: seen.sightings.map((one) => ({ ...one, ownRseq: one.rseq })) };
    };
    expect(problemsOf(both((logs, job) => probe(logs, job))).join()).toMatch(/us has to confirm/);
  });

  test("is refused when only the key that confirmed was revoked", () => {
    const { certificate: third } = closedCase({ probe: (logs, job) => probe(logs, job, { scanner: "scanner-3" }) });
    expect(problemsOf(third)).toEqual([]);
    expect(problemsOf({ ...third, revoked: [keyOf("scanner-3")] }).join()).toMatch(/has to confirm/);
  });

  test("is refused without any one of the records that it rests on", () => {
    for (const { id } of certificate.records) {
      const records = certificate.records.filter((record) => record.id !== id);
      expect(problemsOf({ ...certificate, records })).not.toEqual([]);
    }
    expect(looks).toHaveLength(2);
  });

  test("never makes the checker throw, whatever stands in it", () => {
    fc.assert(
      fc.property(fc.constantFrom(...Object.keys(certificate)), fc.jsonValue(), (key, value) => {
        expect(checkCertificate({ ...certificate, [key]: value }, tools)).toHaveProperty("ok");
      }),
    );
  });
});

test("two scanners that had not seen the service confirm together, one of them twice does not", () => {
  const pair = (names: readonly string[]): Certificate => {
    const { logs, looks, certificate } = closedCase();
    const probes = names.map((scanner, index) =>
      probe(logs, looks[1]?.job ?? "", { scanner, basis: "others", id: String(index + 2).repeat(32) }),
    );
    return { ...certificate, held: logs.frontier(), confirms: probes, records: [...logs.records.values()] };
  };
  expect(problemsOf(pair(["scanner-1", "scanner-2"]))).toEqual([]);
  expect(problemsOf(pair(["scanner-1", "scanner-1"])).join()).toMatch(/has to confirm/);
});

test("a service that no own scanner has seen is confirmed by the job's home", () => {
  const logs = new Logs();
  const told = upload(logs, US, "cron");
  const looks = [look(logs), look(logs)];
  const misses = looks.map(({ job, tileComplete }) => ({ job, tile: 0, tileComplete, tileCompletes: [tileComplete] }));
  const of = (confirm: string): Certificate => ({
    ...closedCase().certificate,
    held: logs.frontier(),
    sightings: [{ log: US, rseq: 0, ownRseq: -1, record: told }],
    misses,
    confirms: [confirm],
    records: [...logs.records.values()],
  });
  expect(problemsOf(of(probe(logs, looks[1]?.job ?? "", { region: "us" }))).join()).toMatch(/eu has to confirm/);
  const home = probe(logs, looks[1]?.job ?? "");
  expect(problemsOf(of(home))).toEqual([]);
});

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}
