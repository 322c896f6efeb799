// Loaded into a server by `node --import`: its stops for garbage collections since it was asked last, as pairs
// of begin and end in milliseconds since the epoch.
import { PerformanceObserver } from 'node:perf_hooks';

const { timeOrigin } = performance;
let stops: [begun: number, ended: number][] = [];
new PerformanceObserver((list) => {
  for (const { startTime, duration } of list.getEntries()) {
    stops.push([timeOrigin + startTime, timeOrigin + startTime + duration]);
  }
}).observe({ entryTypes: ['gc'] });

process.on('message', () => {
  process.send?.(stops);
  stops = [];
});
// The server ends when it wants to.
process.channel?.unref();
