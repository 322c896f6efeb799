import { setTimeout as sleep } from 'node:timers/promises';
import { Connection } from './connection.ts';
import { readMetric } from './http.ts';
import { connectionLoad, type LoadResult, openFullLoad, pacedLoad, warmUpLoad } from './load.ts';
import type { Plan } from './plan.ts';
import type { AuditRow } from './report.ts';
import type { Turns } from './rounds.ts';
import { median, sum } from './statistics.ts';
import type { Subject } from './subjects.ts';
import type { Running, Testbed } from './testbed.ts';

/** For the last lines of the log to be written. */
const LOG_DELAY = 500;
const PACED_CONNECTIONS = 16;

interface Written {
  readonly lines: number;
  readonly bytes: number;
}

/** The processes of a subject, each under one load after the other. */
export class Contender implements AsyncDisposable {
  readonly subject: Subject;
  readonly #processes: readonly Running[];
  /** Lines and bytes in the log before the first review. */
  readonly #before: Written;
  #answers = 0;

  private constructor(subject: Subject, processes: readonly Running[]) {
    this.subject = subject;
    this.#processes = processes;
    this.#before = this.#written();
  }

  static async start(testbed: Testbed, subject: Subject, count: number): Promise<Contender> {
    const processes: Running[] = [];
    while (processes.length < count) {
      processes.push(await testbed.start(subject));
    }
    await sleep(LOG_DELAY);
    return new Contender(subject, processes);
  }

  /** Of one process, in MiB: the median of them. */
  memory(): { readonly now: number; readonly peak: number } {
    const each = this.#processes.map(({ process }) => process.memory());
    return { now: median(each.map(({ now }) => now)), peak: median(each.map(({ peak }) => peak)) };
  }

  /** Full load on every process, until what is used most is compiled. */
  async warmUp({ compiling }: Plan): Promise<void> {
    for (const running of this.#processes) {
      this.#answers += await warmUpLoad(running.target(), compiling);
    }
  }

  /** Turns of so many seconds each, over connections that stay open. */
  async full(process: number, connections: number, seconds: number): Promise<Turns<LoadResult>> {
    const running = this.#running(process);
    const { cpu } = running.process;
    const load = await openFullLoad(running.target(), { connections, seconds, cpu });
    return { ...load, measure: () => this.#count(load.measure()) };
  }

  async connecting(process: number, connections: number, { seconds }: Plan): Promise<LoadResult> {
    const running = this.#running(process);
    const { cpu } = running.process;
    return this.#count(connectionLoad(running.target(), { connections, seconds, cpu }));
  }

  /** Latencies in milliseconds at an even pace, and how many answers were wrong. */
  async paced(
    process: number,
    perSecond: number,
    { seconds, warmUp }: Plan,
  ): Promise<Pick<LoadResult, 'latencies' | 'errors'>> {
    const latencies: number[] = [];
    const begun = performance.now() + warmUp * 1000;
    let errors = 0;
    await pacedLoad(
      this.#running(process).target(),
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
    const answerBytes = await this.#answerBytes();
    await sleep(LOG_DELAY);
    const counted = await Promise.all(
      this.#processes.map(({ opsPort }) =>
        readMetric(opsPort, 'sdr_image_rewriter_requests_total'),
      ),
    );
    const written = this.#written();
    const lines = written.lines - this.#before.lines;
    return {
      subject: this.subject,
      answers: this.#answers,
      lines,
      counted: sum(counted),
      answerBytes,
      lineBytes: (written.bytes - this.#before.bytes) / lines,
    };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all(this.#processes.map((running) => running[Symbol.asyncDispose]()));
  }

  #running(process: number): Running {
    const running = this.#processes[process];
    if (running === undefined) throw new Error(`${this.subject} has no process ${process}`);
    return running;
  }

  #written(): Written {
    return {
      lines: sum(this.#processes.map(({ process }) => process.lines)),
      bytes: sum(this.#processes.map(({ process }) => process.bytes)),
    };
  }

  async #answerBytes(): Promise<number> {
    const connection = await Connection.open(this.#running(0).target());
    await connection.ask();
    this.#answers += 1;
    connection.close();
    return connection.answerBytes;
  }

  async #count(load: Promise<LoadResult>): Promise<LoadResult> {
    const result = await load;
    this.#answers += result.answers;
    return result;
  }
}
