/** Cuts SQL text that comes in pieces after whole statements. */
export type StatementSplitter = {
  /** All statements that are whole by now, as text, and how many. */
  push(text: string): { readonly sql: string; readonly count: number };
  /** What is not whole yet. */
  rest(): string;
};

const MARKS = /--|\/\*|\*\/|[;'"\n]/g;
/** What ends each thing in which a semicolon ends nothing. A doubled quote closes and opens again: the same in effect. */
const CLOSING: Readonly<Record<string, string>> = { "'": "'", '"': '"', "--": "\n", "/*": "*/" };

/** A statement ends as SQLite itself has it: at a semicolon outside text, names and comments; that of a trigger at `; END;`. */
export function createStatementSplitter(): StatementSplitter {
  let kept = "";
  /** Up to here `kept` was looked at. */
  let seen = 0;
  let closing: string | undefined;
  return {
    push: (text) => {
      kept += text;
      let start = 0;
      let count = 0;
      MARKS.lastIndex = seen;
      for (let found = MARKS.exec(kept); found !== null; found = MARKS.exec(kept)) {
        const [mark] = found;
        if (closing !== undefined) {
          if (mark === closing) closing = undefined;
        } else if (mark !== ";") closing = CLOSING[mark];
        else if (isWhole(kept, start, MARKS.lastIndex)) {
          start = MARKS.lastIndex;
          count += 1;
        }
      }
      const sql = kept.slice(0, start);
      kept = kept.slice(start);
      // The first half of a mark of two characters.
      seen = kept.length - (/[-/*]$/.test(kept) ? 1 : 0);
      return { sql, count };
    },
    rest: () => kept,
  };
}

const TRIGGER = /\s*(?:--[^\n]*\n\s*)*CREATE\s+(?:TEMP(?:ORARY)?\s+)?TRIGGER\b/iy;

function isWhole(text: string, start: number, end: number): boolean {
  TRIGGER.lastIndex = start;
  return !TRIGGER.test(text) || /;\s*END\s*;$/i.test(text.slice(start, end));
}
