import { createUser, fromPublic, fromSeed } from "@nats-io/nkeys";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { newSeed, publicKeyOf, sha256Hex, signText, verifyText } from "../../src/bus/keys.node.ts";
import * as names from "../../src/bus/names.ts";
import { assignmentSubject, parseAssignmentSubject, scannerOfSubject } from "../../src/bus/names.ts";
import { subjectMatches } from "../../src/bus/memory.ts";

const bytes = (text: string): Uint8Array => new TextEncoder().encode(text);

describe("keys", () => {
  test("a seed of ours is a seed for NATS, with the same public key and signatures that each verifies of the other", () => {
    const seed = newSeed();
    const pair = fromSeed(bytes(seed));
    expect(pair.getPublicKey()).toBe(publicKeyOf(seed));
    const signature = signText(seed, "portolan ⚓");
    expect(signature).toMatch(/^[A-Za-z0-9_-]{86}$/);
    expect(fromPublic(publicKeyOf(seed)).verify(bytes("portolan ⚓"), Buffer.from(signature, "base64url"))).toBe(true);
    expect(verifyText(publicKeyOf(seed), "portolan ⚓", Buffer.from(pair.sign(bytes("portolan ⚓"))).toString("base64url"))).toBe(true);
  });

  test("a seed made by NATS has the same public key here", () => {
    const pair = createUser();
    expect(publicKeyOf(new TextDecoder().decode(pair.getSeed()))).toBe(pair.getPublicKey());
  });

  test("a changed text, key or signature does not verify, and garbage is no error", () => {
    const [seed, other] = [newSeed(), newSeed()];
    const signature = signText(seed, "text");
    fc.assert(
      fc.property(fc.string(), fc.string(), (text, garbage) => {
        if (text !== "text") expect(verifyText(publicKeyOf(seed), text, signature)).toBe(false);
        expect(verifyText(garbage, "text", signature)).toBe(false);
        expect(verifyText(publicKeyOf(seed), "text", garbage)).toBe(false);
      }),
    );
    expect(verifyText(publicKeyOf(other), "text", signature)).toBe(false);
  });

  test("a seed with one wrong character, a public key and an empty text are refused with words that help", () => {
    const seed = newSeed();
    const wrong = seed.slice(0, 20) + (seed[20] === "A" ? "B" : "A") + seed.slice(21);
    for (const text of [wrong, publicKeyOf(seed), ""]) expect(() => publicKeyOf(text)).toThrow(/begin with SU/);
  });

  test("the digest of text is the digest of its UTF-8 bytes", () => {
    expect(sha256Hex("⚓")).toBe(sha256Hex(bytes("⚓")));
    expect(sha256Hex("abc")).toBe("ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
  });
});

describe("names", () => {
  test("a subject of an assignment reads back as what it was made of", () => {
    const job = "0".repeat(64);
    fc.assert(
      fc.property(
        fc.stringMatching(/^[a-z0-9][a-z0-9_-]{0,20}[a-z0-9]$/),
        fc.nat(),
        fc.nat(999),
        fc.nat(9),
        (scanner, tile, shard, attempt) => {
          const key = { job, tile: tile % 1e6, shard, attempt };
          expect(parseAssignmentSubject(assignmentSubject(scanner, key))).toEqual({ scanner, key });
        },
      ),
    );
  });

  test("nothing that could widen a subject gets into one", () => {
    const key = { job: "0".repeat(64), tile: 0, shard: 1, attempt: 1 };
    for (const scanner of ["a.b", "*", ">", "", "a b", "a\n"]) expect(() => assignmentSubject(scanner, key)).toThrow(/NATS subject/);
    for (const subject of ["shards.s", "shards.s.x.1.1.1", `shards.s.${"0".repeat(64)}.1.1`]) {
      expect(() => parseAssignmentSubject(subject)).toThrow(/no subject/);
    }
  });

  test("streams and subjects are called as the keepers of all regions expect", () => {
    const log = "f".repeat(32);
    expect([names.shardsStream("eu"), names.resultsStream("eu")]).toEqual(["SHARDS_eu", "RESULTS_eu"]);
    expect([names.allResults("eu"), names.resultSubject("eu", log)]).toEqual(["results.eu.>", `results.eu.${log}`]);
    expect([names.reportsSubject("eu"), names.scanSubject("eu"), names.repairSubject("eu")]).toEqual([
      "reports.eu",
      "scan.eu",
      "repair.eu",
    ]);
    expect([names.heartbeatSubject("s1"), names.cancelSubject("s1")]).toEqual(["heartbeat.s1", "cancel.s1"]);
    expect(names.progressSubject("s1", { job: "j", tile: 3, shard: 1 })).toBe("progress.s1.j.3.1");
  });

  test("lossy subjects name the scanner that the server let publish them", () => {
    expect(scannerOfSubject("heartbeat.s1")).toBe("s1");
    expect(scannerOfSubject("progress.s1.job.0.1")).toBe("s1");
    expect(scannerOfSubject("shards.s1")).toBeNull();
  });

  test("wildcards fit as they do in NATS", () => {
    expect(subjectMatches("a.*", "a.b")).toBe(true);
    expect(subjectMatches("a.*", "a.b.c")).toBe(false);
    expect(subjectMatches("a.>", "a.b.c")).toBe(true);
    expect(subjectMatches("a.>", "a")).toBe(false);
    expect(subjectMatches("a.b", "a")).toBe(false);
  });
});
