import { type StatsListener, unwatchFile, watchFile as pollFile } from 'node:fs';

const POLL_MILLISECONDS = 1000;

/**
 * Calls back within about a second after any of the files changed, appeared or vanished. Polling, since
 * a mounted ConfigMap or Secret changes by a swapped symbolic link, which file notifications miss.
 * Returns the way to stop.
 */
export function watchFiles(
  paths: readonly string[],
  onChange: () => void,
  interval = POLL_MILLISECONDS,
): () => void {
  const listener: StatsListener = (now, before) => {
    // Node.js also tells, once, that a file is not there and was not there.
    if (now.nlink > 0 || before.nlink > 0) onChange();
  };
  for (const path of paths) {
    pollFile(path, { persistent: false, interval }, listener);
  }
  return () => {
    for (const path of paths) {
      unwatchFile(path, listener);
    }
  };
}
