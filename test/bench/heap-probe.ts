// Loaded into a server by `node --import`: counts the bytes that it allocates between two messages.
import { getHeapStatistics, GCProfiler } from 'node:v8';

const profiler = new GCProfiler();
let usedBefore = 0;

process.on('message', (message) => {
  if (message === 'begin') {
    profiler.start();
    usedBefore = used();
    process.send?.('begun');
  } else {
    const usedAfter = used();
    const { statistics } = profiler.stop();
    // What is in use grows by allocation alone, and shrinks only in a collection.
    let [allocated, last] = [0, usedBefore];
    for (const { beforeGC, afterGC } of statistics) {
      allocated += beforeGC.heapStatistics.usedHeapSize - last;
      last = afterGC.heapStatistics.usedHeapSize;
    }
    process.send?.({ allocated: allocated + usedAfter - last, collections: statistics.length });
  }
});
// The server ends when it wants to.
process.channel?.unref();

function used(): number {
  return getHeapStatistics().used_heap_size;
}
