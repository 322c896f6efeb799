import type { ErrorCode, Fault } from './errors.ts';

/** As many tell what is wrong; a file of another kind would have millions. */
export const FAULT_LIMIT = 10_000;

/** The faults of one map in the order in which they were found, and one more where there are too many. */
export class FaultList {
  readonly #faults: Fault[] = [];

  get faults(): readonly Fault[] {
    return this.#faults;
  }

  get isFull(): boolean {
    return this.#faults.length > FAULT_LIMIT;
  }

  add(code: ErrorCode, path: string, message: string): void {
    if (this.#faults.length < FAULT_LIMIT) {
      this.#faults.push({ code, path, message });
    } else if (!this.isFull) {
      const rest = `${FAULT_LIMIT} faults stand before this one, and there may be more; correct those first`;
      this.#faults.push({ code, path, message: rest });
    }
  }
}
