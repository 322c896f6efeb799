/**
 * Work in small steps, each well under a millisecond, so that whoever runs it may do something else in
 * between: a server goes on answering while it checks a map of 100,000 entries.
 */
export type Steps<Result> = Generator<undefined, Result, undefined>;

/** Runs all steps at once. */
export function runSteps<Result>(steps: Steps<Result>): Result {
  for (;;) {
    const step = steps.next();
    if (step.done === true) {
      return step.value;
    }
  }
}
