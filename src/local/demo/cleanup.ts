/** What is on after the last phase; `end` may be called at any time and more than once. */
export type Cleanup = {
  readonly add: (end: () => Promise<void>) => void;
  readonly end: () => Promise<void>;
  /** Whether the end has begun: nothing new is to be started. */
  readonly hasBegun: () => boolean;
};

/** The last thing that was added ends first; each is tried even when another fails. */
export function makeCleanup(): Cleanup {
  const ends: (() => Promise<void>)[] = [];
  let begun = false;
  return {
    add: (end) => void ends.push(end),
    hasBegun: () => begun,
    end: async () => {
      begun = true;
      const problems: unknown[] = [];
      for (let end = ends.pop(); end !== undefined; end = ends.pop()) await end().catch((error: unknown) => problems.push(error));
      if (problems.length > 0) throw problems[0];
    },
  };
}
