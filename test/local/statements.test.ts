import fc from "fast-check";
import { expect, test } from "vitest";
import { createStatementSplitter } from "../../src/local/statements.ts";

/** Statements with everything in which a semicolon ends nothing. */
const text = fc.string({ unit: fc.constantFrom(";", "'", '"', "-", "/", "*", "\n", "a", " ", "END;", "--") });
const statement = fc.oneof(
  text.map((value) => `INSERT INTO t VALUES(1,'${value.replaceAll("'", "''")}');`),
  text.map((value) => `CREATE TABLE "${value.replaceAll('"', '""')}"(a);`),
  text.map((value) => `CREATE TABLE t(a -- ${value.replaceAll("\n", " ")}\n);`),
  text.map((value) => `CREATE TABLE t(a /* ${value.replaceAll("*", "").replaceAll("/", "")} */);`),
  fc.constant("CREATE TRIGGER x AFTER INSERT ON t\nBEGIN\n  SELECT CASE WHEN 1 THEN ';' END;\n  DELETE FROM t;\nEND;"),
);

test("a dump cut anywhere comes out statement by statement, whole and in order", () => {
  fc.assert(
    fc.property(fc.array(statement, { maxLength: 8 }), fc.array(fc.nat(400), { maxLength: 12 }), (statements, cuts) => {
      const dump = statements.map((one) => `${one}\n`).join("");
      const places = [...new Set([0, ...cuts.filter((cut) => cut < dump.length), dump.length])].toSorted((a, b) => a - b);
      const splitter = createStatementSplitter();
      let given = "";
      let count = 0;
      for (const [index, from] of places.entries()) {
        const done = splitter.push(dump.slice(from, places[index + 1] ?? from));
        expect(done.sql === "" || done.sql.endsWith(";")).toBe(true);
        given += done.sql;
        count += done.count;
      }
      expect(given + splitter.rest()).toBe(dump);
      expect([count, splitter.rest().trim()]).toEqual([statements.length, ""]);
    }),
    { numRuns: 300 },
  );
});
