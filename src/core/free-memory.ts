/** Bytes from which memory is worth more than the call that frees it. */
const FREED_FROM = 8 * 1024;

/**
 * Frees memory that nobody reads any more, which then is empty for whoever does. The garbage collector knows
 * nothing of the limit of the container, and would let a hundred MiB pile up; and it begins sooner the more
 * of it there is, while reviews wait.
 */
export function freeMemory({ buffer, byteLength }: Uint8Array | Uint32Array): void {
  // What shares its memory with others is left to the collector.
  if (byteLength >= FREED_FROM && byteLength === buffer.byteLength && 'transfer' in buffer) {
    buffer.transfer(0);
  }
}
