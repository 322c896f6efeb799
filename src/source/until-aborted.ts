/**
 * The result of some work, or the error once the signal aborts, for work that does not heed it by itself. Where that
 * was too late, what the work brings is thrown away.
 */
export async function untilAborted<Result>(
  work: Promise<Result>,
  signal: AbortSignal,
  error: () => Error,
): Promise<Result> {
  const { promise: end, reject } = Promise.withResolvers<never>();
  const giveUp = (): void => reject(error());
  signal.addEventListener('abort', giveUp);
  if (signal.aborted) giveUp();
  try {
    return await Promise.race([work, end]);
  } finally {
    // Otherwise the signal would keep the result in memory until it aborts.
    signal.removeEventListener('abort', giveUp);
  }
}
