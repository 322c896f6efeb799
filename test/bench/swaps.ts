import { statSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { readMetric } from './http.ts';
import { fullLoad, pacedLoad, type Sample } from './load.ts';
import type { Plan } from './plan.ts';
import type { SwapRow } from './report.ts';
import { mapTarget } from './sample-map.ts';
import { highest, median } from './statistics.ts';
import { MAP_SIZES, MAP_SUBJECTS, type MapSubject } from './subjects.ts';
import type { ServerProcess } from './server-process.ts';
import type { Testbed } from './testbed.ts';

/** A light load: one review a millisecond, which is how exactly a pause is seen. */
const PROBE = { connections: 16, perSecond: 1000 };
/** For what the load before it left behind to be over. */
const SETTLE = 2000;
/** After the first answer by the new map: the server still polls the file, and collects garbage. */
const AFTERMATH = 1500;
const PATIENCE = 30_000;
const POLL_INTERVAL = 20;
const LAG_METRIC = 'nodejs_eventloop_lag_max_seconds';

/** Takes one map after the other into use under a light load, and looks at what the load notices. */
export async function measureSwaps(
  testbed: Testbed,
  plan: Plan,
  say: (what: string) => void,
): Promise<SwapRow[]> {
  const rows: SwapRow[] = [];
  for (const subject of MAP_SUBJECTS) {
    say(`${plan.swaps} swaps of ${MAP_SIZES[subject]} entries`);
    rows.push(await measureMap(testbed, subject, plan));
  }
  return rows;
}

interface Swap {
  readonly load: number;
  readonly pause: number;
  readonly wait: number;
  readonly collection: number;
  readonly background: number;
  readonly lag: number;
}

async function measureMap(testbed: Testbed, subject: MapSubject, plan: Plan): Promise<SwapRow> {
  await using running = await testbed.start(subject, {
    flags: ['--import', await testbed.stopProbe()],
    hasChannel: true,
  });
  const versions = Array.from({ length: plan.swaps }, (_, index) => index + 2);
  const files = versions.map((version) => testbed.writeMap(subject, version));
  const samples: Sample[] = [];
  using waits = new WaitProbe(running.process);
  const swaps: Swap[] = [];
  const quietPauses: number[] = [];
  const lag = async (): Promise<number> => 1000 * (await readMetric(running.opsPort, LAG_METRIC));

  const swapTo = async (version: number): Promise<Swap> => {
    // Both are the maximum since they were asked for last.
    await lag();
    await running.process.ask('longest stop');
    const [begun, background] = [performance.now(), running.process.background()];
    testbed.useMap(subject, version);
    running.process.child.kill('SIGHUP');
    const isByNewMap = ({ answer }: Sample): boolean => answer === mapTarget(version);
    const { answered: used } = await firstSample(samples, begun, isByNewMap);
    // When the reviews that had to wait are answered as well.
    await firstSample(samples, begun, ({ due }) => due >= used + AFTERMATH);
    return {
      load: used - begun,
      pause: slowest(samples, begun),
      wait: waits.longestSince(begun),
      collection: Number(await running.process.ask('longest stop')),
      background: running.process.background() - background,
      lag: await lag(),
    };
  };

  const target = running.target(undefined, [1, ...versions]);
  // Else V8 would go on compiling for seconds, on the same processor, and that would be what is seen.
  const { errors } = await fullLoad(target, {
    connections: PROBE.connections,
    warmUp: 0,
    seconds: plan.compiling,
    cpu: running.process.cpu,
  });
  await pacedLoad(target, { ...PROBE, onSample: (sample) => samples.push(sample) }, async () => {
    await sleep(SETTLE);
    for (const version of versions) {
      const begun = performance.now();
      await sleep(AFTERMATH);
      quietPauses.push(slowest(samples, begun));
      swaps.push(await swapTo(version));
    }
  });

  const of = (key: keyof Swap): number[] => swaps.map((swap) => swap[key]);
  return {
    subject,
    entries: MAP_SIZES[subject],
    mebibytes: statSync(files[0] ?? '').size / 1024 / 1024,
    load: median(of('load')),
    pause: median(of('pause')),
    worstPause: highest(of('pause')),
    quietPause: median(quietPauses),
    wait: median(of('wait')),
    collection: median(of('collection')),
    background: median(of('background')),
    eventLoopLag: median(of('lag')),
    peak: running.process.memory().peak,
    errors: errors + samples.filter(({ answer }) => answer === undefined).length,
  };
}

/** Looks once a millisecond how long the thread that answers was kept from its processor. */
class WaitProbe implements Disposable {
  readonly #waits: { readonly until: number; readonly length: number }[] = [];
  readonly #timer: NodeJS.Timeout;

  constructor(process: ServerProcess) {
    let before = process.waiting();
    this.#timer = setInterval(() => {
      const now = process.waiting();
      if (now > before) this.#waits.push({ until: performance.now(), length: now - before });
      before = now;
    }, 1);
  }

  /** In milliseconds. */
  longestSince(begun: number): number {
    const since = this.#waits.filter(({ until }) => until >= begun);
    return highest([0, ...since.map(({ length }) => length)]);
  }

  [Symbol.dispose](): void {
    clearInterval(this.#timer);
  }
}

/** The first sample that fits and was due since `begun`; waits for it. */
async function firstSample(
  samples: readonly Sample[],
  begun: number,
  fits: (sample: Sample) => boolean,
): Promise<Sample> {
  for (;;) {
    const found = samples.find((sample) => sample.due >= begun && fits(sample));
    if (found !== undefined) return found;
    if (performance.now() - begun > PATIENCE) {
      throw new Error(
        `a map put in place ${PATIENCE} ms ago is not in use, or the load is too much`,
      );
    }
    await sleep(POLL_INTERVAL);
  }
}

/** The latency of the slowest review that was due since `begun`, in milliseconds. */
function slowest(samples: readonly Sample[], begun: number): number {
  const since = samples.filter(({ due }) => due >= begun);
  return highest(since.map(({ due, answered }) => answered - due));
}
