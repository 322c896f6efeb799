import { freeMemory } from './core/free-memory.ts';

/** The same bytes with room for more behind them, in memory of their own; that of those given is freed. */
export function enlarge(bytes: Buffer, capacity: number): Buffer {
  const larger = Buffer.allocUnsafeSlow(capacity);
  larger.set(bytes);
  freeMemory(bytes);
  return larger;
}
