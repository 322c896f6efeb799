import { setTimeout as sleep } from 'node:timers/promises';
import { readMetric } from './http.ts';
import { connectionLoad, fullLoad, type LoadResult, pacedLoad } from './load.ts';
import type { Plan } from './plan.ts';
import type { AuditRow } from './report.ts';
import type { Subject } from './subjects.ts';
import type { Running, Testbed } from './testbed.ts';

/** For the last lines of the log to be written. */
const LOG_DELAY = 500;
const PACED_CONNECTIONS = 16;

/** A subject under one load after the other. */
export class Contender implements AsyncDisposable {
  readonly subject: Subject;
  readonly #running: Running;
  readonly #linesBefore: number;
  #answers = 0;

  private constructor(subject: Subject, running: Running) {
    this.subject = subject;
    this.#running = running;
    this.#linesBefore = running.process.lines;
  }

  static async start(testbed: Testbed, subject: Subject): Promise<Contender> {
    const running = await testbed.start(subject);
    await sleep(LOG_DELAY);
    return new Contender(subject, running);
  }

  memory(): { readonly now: number; readonly peak: number } {
    return this.#running.process.memory();
  }

  async full(connections: number, { seconds, warmUp }: Plan): Promise<LoadResult> {
    const { cpu } = this.#running.process;
    return this.#note(
      await fullLoad(this.#running.target(), { connections, seconds, warmUp, cpu }),
    );
  }

  async connecting(connections: number, { seconds, warmUp }: Plan): Promise<LoadResult> {
    const { cpu } = this.#running.process;
    return this.#note(
      await connectionLoad(this.#running.target(), { connections, seconds, warmUp, cpu }),
    );
  }

  /** Latencies in milliseconds at an even pace, and how many answers were wrong. */
  async paced(
    perSecond: number,
    { seconds, warmUp }: Plan,
  ): Promise<Pick<LoadResult, 'latencies' | 'errors'>> {
    const latencies: number[] = [];
    const begun = performance.now() + warmUp * 1000;
    let errors = 0;
    await pacedLoad(
      this.#running.target(),
      {
        connections: PACED_CONNECTIONS,
        perSecond,
        onSample: ({ due, answered, answer }) => {
          if (due >= begun) latencies.push(answered - due);
          if (answer === undefined) errors += 1;
          this.#answers += 1;
        },
      },
      () => sleep((warmUp + seconds) * 1000),
    );
    return { latencies, errors };
  }

  /** Compares what was answered with what the audit log and the metrics say. */
  async audit(): Promise<AuditRow> {
    await sleep(LOG_DELAY);
    const { opsPort, process } = this.#running;
    const counted = await readMetric(opsPort, 'sdr_image_rewriter_requests_total');
    return {
      subject: this.subject,
      answers: this.#answers,
      lines: process.lines - this.#linesBefore,
      counted,
    };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#running[Symbol.asyncDispose]();
  }

  #note(result: LoadResult): LoadResult {
    this.#answers += result.total;
    return result;
  }
}
