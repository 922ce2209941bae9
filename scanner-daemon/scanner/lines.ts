/** Cuts text that comes in pieces into lines. Bounded: a line above `lineLengthMax` comes out cut, its rest is dropped. */
export type LineCutter = {
  /** Whole lines of the pieces so far, without their ends. */
  push(piece: string): string[];
  /** What came after the last line end; "" when the text ended with one. */
  rest(): string;
};

/** Lines end where `separator` matches (one character). */
export function lineCutter(separator: RegExp, lineLengthMax: number): LineCutter {
  let rest = "";
  return {
    push: (piece) => {
      const lines = (rest + piece).split(separator);
      rest = (lines.pop() ?? "").slice(0, lineLengthMax + 1);
      return lines.map((line) => line.slice(0, lineLengthMax + 1));
    },
    rest: () => rest,
  };
}
