/** Milliseconds that a review waits for others at most, and that an answer waits for those behind it. */
const LONGEST_WAIT = 2;

/** A request whose body is complete. */
export interface Asked {
  /** When its body was complete, by `performance.now()`. */
  readonly since: number;
}

/**
 * Answers together what comes together: reviews are collected as long as each turn of the event loop
 * brings more, then decided one after the other, then sent. What runs again and again stays in the caches
 * of the processor, and a caller that sleeps is woken once for several answers. A review that comes alone
 * waits for no more than an empty turn.
 */
export class AnswerQueue<Request extends Asked, Answer> {
  readonly #decide: (request: Request) => Answer;
  readonly #send: (request: Request, answer: Answer) => void;
  readonly #now: () => number;
  #waiting: Request[] = [];
  /** How many waited at the end of the last turn. */
  #counted = 0;

  /** Neither function may throw: the other requests would be lost. */
  constructor(
    decide: (request: Request) => Answer,
    send: (request: Request, answer: Answer) => void,
    now = () => performance.now(),
  ) {
    this.#decide = decide;
    this.#send = send;
    this.#now = now;
  }

  add(request: Request): void {
    if (this.#waiting.push(request) === 1) {
      setImmediate(this.#endTurn);
    }
  }

  readonly #endTurn = (): void => {
    const [first] = this.#waiting;
    const count = this.#waiting.length;
    if (first !== undefined && count > this.#counted && !this.#isLongAgo(first.since)) {
      this.#counted = count;
      setImmediate(this.#endTurn);
      return;
    }
    const requests = this.#waiting;
    this.#waiting = [];
    this.#counted = 0;
    this.#answerAll(requests);
  };

  #answerAll(requests: readonly Request[]): void {
    const answered: { readonly request: Request; readonly answer: Answer }[] = [];
    const sendAll = (): void => {
      for (const { request, answer } of answered) {
        this.#send(request, answer);
      }
      answered.length = 0;
    };
    let begun = this.#now();
    for (const request of requests) {
      answered.push({ request, answer: this.#decide(request) });
      if (this.#isLongAgo(begun)) {
        sendAll();
        begun = this.#now();
      }
    }
    sendAll();
  }

  #isLongAgo(time: number): boolean {
    return this.#now() - time > LONGEST_WAIT;
  }
}
