/** The candidate that differs least from what was typed; null when none comes close. */
export function nearest<T extends string>(typed: string, candidates: readonly T[]): T | null {
  const [best] = candidates
    .map((candidate) => ({ candidate, distance: editDistance(typed.slice(0, 40), candidate) }))
    .toSorted((a, b) => a.distance - b.distance);
  return best !== undefined && best.distance <= Math.max(1, Math.floor(best.candidate.length / 2)) ? best.candidate : null;
}

/** Letters to be inserted, removed or replaced (Levenshtein's distance). */
function editDistance(a: string, b: string): number {
  let previous = Array.from({ length: b.length + 1 }, (_, column) => column);
  for (const [row, letter] of [...a].entries()) {
    const current = [row + 1];
    for (let column = 1; column <= b.length; column += 1) {
      const replaced = (previous[column - 1] ?? 0) + (letter === b[column - 1] ? 0 : 1);
      current.push(Math.min(replaced, (previous[column] ?? 0) + 1, (current[column - 1] ?? 0) + 1));
    }
    previous = current;
  }
  return previous[b.length] ?? 0;
}
