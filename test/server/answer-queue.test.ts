import { setImmediate as turn } from 'node:timers/promises';
import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { AnswerQueue } from '../../src/server/answer-queue.ts';

interface Request {
  readonly name: string;
  readonly since: number;
}

/** A queue with a clock that stands still, and in the order of time what it did. */
class Rig {
  readonly done: string[] = [];
  readonly #queue: AnswerQueue<Request, string>;
  #time = 1000;

  /** Each decision takes so many milliseconds. */
  constructor(take = 0) {
    this.#queue = new AnswerQueue(
      ({ name }) => {
        this.done.push(`decide ${name}`);
        this.#time += take;
        return `answer to ${name}`;
      },
      ({ name }, answer) => this.done.push(`send ${name}: ${answer}`),
      () => this.#time,
    );
  }

  ask(name: string): void {
    this.#queue.add({ name, since: this.#time });
  }

  /** So many milliseconds go by. */
  pass(milliseconds: number): void {
    this.#time += milliseconds;
  }

  /** What was done when nothing waits any more. */
  async end(): Promise<string[]> {
    for (let count = 0; count < 5; count += 1) await turn();
    return this.done;
  }
}

function sending(...names: string[]): string[] {
  return names.map((name) => `send ${name}: answer to ${name}`);
}

function deciding(...names: string[]): string[] {
  return names.map((name) => `decide ${name}`);
}

/** Each is decided about and answered before the next one. */
function oneByOne(...names: string[]): string[] {
  return names.flatMap((name) => [...deciding(name), ...sending(name)]);
}

describe('AnswerQueue', () => {
  it('decides about all requests of one turn before it sends the first answer', async () => {
    const rig = new Rig();
    rig.ask('a');
    rig.ask('b');
    rig.ask('c');
    expect(rig.done).toEqual([]);
    expect(await rig.end()).toEqual([...deciding('a', 'b', 'c'), ...sending('a', 'b', 'c')]);
  });

  it('answers a request that is alone after one turn that brought no other', async () => {
    const rig = new Rig();
    rig.ask('a');
    await turn();
    await turn();
    await turn();
    expect(rig.done).toEqual(oneByOne('a'));
  });

  it('collects as long as each turn brings another', async () => {
    const rig = new Rig();
    rig.ask('a');
    await turn();
    rig.ask('b');
    await turn();
    rig.ask('c');
    expect(await rig.end()).toEqual([...deciding('a', 'b', 'c'), ...sending('a', 'b', 'c')]);
  });

  it('lets nobody wait for others for longer than two milliseconds', async () => {
    const rig = new Rig();
    rig.ask('old');
    rig.pass(3);
    await turn();
    rig.ask('new');
    await turn();
    expect(rig.done.slice(0, 2)).toEqual(oneByOne('old'));
    expect(await rig.end()).toEqual(oneByOne('old', 'new'));
  });

  it('sends an answer before the next decision where decisions take long', async () => {
    const rig = new Rig(3);
    rig.ask('a');
    rig.ask('b');
    expect(await rig.end()).toEqual(oneByOne('a', 'b'));
  });

  it('takes a request that comes while answers are sent', async () => {
    const sent: string[] = [];
    const queue = new AnswerQueue<Request, string>(
      ({ name }) => name,
      ({ name }) => {
        sent.push(name);
        if (name === 'a') queue.add({ name: 'b', since: performance.now() });
      },
    );
    queue.add({ name: 'a', since: performance.now() });
    while (sent.length < 2) await turn();
    expect(sent).toEqual(['a', 'b']);
  });

  it('answers each request once, in order, however they come', async () => {
    const turns = fc.array(fc.record({ asked: fc.nat(4), passed: fc.constantFrom(0, 0.8, 3) }));
    await fc.assert(
      fc.asyncProperty(turns, fc.constantFrom(0, 0.8, 3), async (each, take) => {
        const rig = new Rig(take);
        const names: string[] = [];
        for (const { asked, passed } of each) {
          for (let count = 0; count < asked; count += 1) {
            const name = String(names.length);
            rig.ask(name);
            names.push(name);
          }
          rig.pass(passed);
          await turn();
        }
        const done = await rig.end();
        expect(done.filter((step) => step.startsWith('decide'))).toEqual(deciding(...names));
        expect(done.filter((step) => step.startsWith('send'))).toEqual(sending(...names));
      }),
    );
  });
});
