/** How long one region may keep a reader waiting before the next one is asked too, and all of them together. */
export type Patience = { readonly stepMs: number; readonly totalMs: number };

/** `null` when the time was over before anybody gave a good answer, and before everybody had failed. */
export type FirstGood = { readonly response: Response; readonly index: number } | null;

/** How one try ended: told once for each that was begun, also after the answer was given. */
export type OnEnd = (index: number, isGood: boolean) => void;

/**
 * Asks the first; when it fails, or has not answered after `stepMs`, asks the next one too, and so on: the first good answer wins, late ones
 * of earlier tries included. When all fail, the first one's answer is given. Only for what may be asked twice.
 */
export function firstGood(tries: readonly (() => Response | Promise<Response>)[], patience: Patience, onEnd: OnEnd): Promise<FirstGood> {
  return new Promise((resolve) => {
    const failures = new Map<number, Response>();
    let begun = 0;
    let ended = 0;
    let isOver = false;
    let step: ReturnType<typeof setTimeout> | undefined;
    const finish = (result: FirstGood): void => {
      if (isOver) return;
      isOver = true;
      clearTimeout(step);
      clearTimeout(total);
      resolve(result);
    };
    const total = setTimeout(() => finish(null), patience.totalMs);
    const end = (index: number, response: Response | null): void => {
      ended++;
      const isGood = response !== null && !isFailure(response);
      onEnd(index, isGood);
      if (isOver) return;
      if (isGood) return finish({ response, index });
      if (response !== null) failures.set(index, response);
      if (begun < tries.length) return next();
      const [first] = [...failures].toSorted(([a], [b]) => a - b);
      if (ended === tries.length) finish(first === undefined ? null : { response: first[1], index: first[0] });
    };
    const next = (): void => {
      clearTimeout(step);
      const index = begun++;
      const ask = tries[index];
      if (ask === undefined) return;
      if (begun < tries.length) step = setTimeout(next, patience.stepMs);
      void Promise.resolve()
        .then(ask)
        .then(
          (response) => end(index, response),
          () => end(index, null),
        );
    };
    next();
  });
}

/** Whether a region could not answer, as opposed to an answer that nobody likes. */
export function isFailure(response: Response): boolean {
  return response.status === 503;
}
