/** Counts the bytes of request bodies that the process holds at one time, and refuses what goes over a limit. */
export class BodyMemory {
  /** In bytes. */
  readonly limit: number;
  #held = 0;

  constructor(limit: number) {
    this.limit = limit;
  }

  /** False: there is no room, and nothing was counted. */
  take(bytes: number): boolean {
    if (this.#held + bytes > this.limit) {
      return false;
    }
    this.#held += bytes;
    return true;
  }

  giveBack(bytes: number): void {
    this.#held -= bytes;
  }
}
