// Loaded into a server by `node --import`: the longest stop for a garbage collection since it was asked last,
// in milliseconds.
import { PerformanceObserver } from 'node:perf_hooks';

let longest = 0;
new PerformanceObserver((list) => {
  for (const { duration } of list.getEntries()) {
    longest = Math.max(longest, duration);
  }
}).observe({ entryTypes: ['gc'] });

process.on('message', () => {
  process.send?.(longest);
  longest = 0;
});
// The server ends when it wants to.
process.channel?.unref();
