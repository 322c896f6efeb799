/**
 * Makes `work` run once at a time, so that what was read first never takes the place of what was read later.
 * Whoever calls meanwhile has it run once more afterwards, all of them together.
 */
export function oneAtATime<Result>(work: () => Promise<Result>): () => Promise<Result> {
  let running: Promise<Result> | undefined;
  let next: Promise<Result> | undefined;
  const run = (): Promise<Result> => {
    running = work().finally(() => {
      running = undefined;
    });
    return running;
  };
  const runNext = (): Promise<Result> => {
    next = undefined;
    return run();
  };
  return () => {
    if (running === undefined) {
      return run();
    }
    next ??= running.then(runNext, runNext);
    return next;
  };
}
