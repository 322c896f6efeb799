import { executionAsyncResource } from 'node:async_hooks';

let kept: object | undefined;

/**
 * Makes `process.nextTick` stay fast, which each request goes through some times. V8 remembers the shape
 * of the objects that it makes as long as there is one; a garbage collection while there is none, as when
 * a map was read, would make each call ten times as long until the process ends. So one is kept.
 */
export function keepNextTickFast(): void {
  process.nextTick(() => {
    kept ??= executionAsyncResource();
  });
}
