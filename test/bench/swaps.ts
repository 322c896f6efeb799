import { statSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { readMetric } from './http.ts';
import { pacedLoad, type Sample, warmUpLoad } from './load.ts';
import {
  type Interval,
  lengthOf,
  partsOf,
  type PauseParts,
  StopProbe,
  WaitProbe,
} from './pause-parts.ts';
import type { Plan } from './plan.ts';
import type { Report, SwapRow } from './report.ts';
import { mapTarget } from './sample-map.ts';
import { highest, median } from './statistics.ts';
import { MAP_SIZES, MAP_SUBJECTS, type MapSubject } from './subjects.ts';
import type { ServerProcess } from './server-process.ts';
import type { Running, Testbed } from './testbed.ts';

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
): Promise<Pick<Report, 'swaps' | 'floorPause'>> {
  say('the floor under a light load');
  const floorPause = await measureFloor(testbed, plan);
  const swaps: SwapRow[] = [];
  for (const subject of MAP_SUBJECTS) {
    say(`${plan.swaps} swaps of ${MAP_SIZES[subject]} entries`);
    swaps.push(await measureMap(testbed, subject, plan));
  }
  return { swaps, floorPause };
}

/** The slowest answer of the floor, in as much time as there is around a swap; median. */
async function measureFloor(testbed: Testbed, plan: Plan): Promise<number> {
  await using running = await testbed.start('floor');
  const pauses: number[] = [];
  await underLightLoad(running, plan, [1], async (samples) => {
    for (let window = 0; window < plan.swaps; window += 1) {
      pauses.push(await quietPause(samples));
    }
  });
  return median(pauses);
}

interface Swap extends PauseParts {
  readonly load: number;
  readonly pause: number;
  readonly background: number;
  readonly lag: number;
}

async function measureMap(testbed: Testbed, subject: MapSubject, plan: Plan): Promise<SwapRow> {
  await using running = await testbed.start(subject, {
    flags: ['--import', await testbed.collectionProbe()],
    hasChannel: true,
  });
  const versions = Array.from({ length: plan.swaps }, (_, index) => index + 2);
  const files = versions.map((version) => testbed.writeMap(subject, version));
  const swaps: Swap[] = [];
  const quietPauses: number[] = [];
  const lag = async (): Promise<number> => 1000 * (await readMetric(running.opsPort, LAG_METRIC));

  const swapTo = async (samples: readonly Sample[], version: number): Promise<Swap> => {
    using waits = new WaitProbe(running.process);
    using stops = new StopProbe();
    // Both tell what there was since they were asked for last.
    await lag();
    await running.process.ask('collections');
    const [begun, background] = [performance.now(), running.process.background()];
    testbed.useMap(subject, version);
    running.process.child.kill('SIGHUP');
    const isByNewMap = ({ answer }: Sample): boolean => answer === mapTarget(version);
    const { answered: used } = await firstSample(samples, begun, isByNewMap);
    // When the reviews that had to wait are answered as well.
    await firstSample(samples, begun, ({ due }) => due >= used + AFTERMATH);
    const pause = slowest(samples, begun);
    const collections = await collectionsOf(running.process);
    return {
      load: used - begun,
      pause: lengthOf(pause),
      ...partsOf(pause, { waits: waits.waits, collections, stops: stops.stops }),
      background: running.process.background() - background,
      lag: await lag(),
    };
  };

  const errors = await underLightLoad(running, plan, [1, ...versions], async (samples) => {
    for (const version of versions) {
      quietPauses.push(await quietPause(samples));
      swaps.push(await swapTo(samples, version));
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
    waiting: median(of('waiting')),
    collecting: median(of('collecting')),
    unloaded: median(of('unloaded')),
    quietPause: median(quietPauses),
    background: median(of('background')),
    eventLoopLag: median(of('lag')),
    peak: running.process.memory().peak,
    errors,
  };
}

/** Warms a server up by a full load, then sends reviews at an even pace. Returns the wrong answers. */
async function underLightLoad(
  running: Running,
  plan: Plan,
  versions: readonly number[],
  during: (samples: readonly Sample[]) => Promise<void>,
): Promise<number> {
  const samples: Sample[] = [];
  const target = running.target(undefined, versions);
  // Else V8 would go on compiling for seconds, on the same processor, and that would be what is seen.
  await warmUpLoad(target, plan.compiling);
  await pacedLoad(target, { ...PROBE, onSample: (sample) => samples.push(sample) }, async () => {
    await sleep(SETTLE);
    await during(samples);
  });
  return samples.filter(({ answer }) => answer === undefined).length;
}

/** What the server stopped for since it was asked last. */
async function collectionsOf(process: ServerProcess): Promise<Interval[]> {
  const collections = (await process.ask('collections')) as readonly [number, number][];
  const { timeOrigin } = performance;
  return collections.map(([begun, ended]) => ({
    begun: begun - timeOrigin,
    ended: ended - timeOrigin,
  }));
}

async function quietPause(samples: readonly Sample[]): Promise<number> {
  const since = performance.now();
  await sleep(AFTERMATH);
  return lengthOf(slowest(samples, since));
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

/** The time of the review that took longest of those that were due since `begun`. */
function slowest(samples: readonly Sample[], begun: number): Interval {
  return samples
    .filter(({ due }) => due >= begun)
    .map(({ due, answered }) => ({ begun: due, ended: answered }))
    .reduce((one, other) => (lengthOf(other) > lengthOf(one) ? other : one));
}
