import { FullLoad, warmUpLoad } from './load.ts';
import { type Plan, TURNS_PER_ROUND } from './plan.ts';
import type { Report, ScalingRow } from './report.ts';
import {
  capturedReview,
  reviewOfBytes,
  reviewWithContainers,
  type SampleReview,
} from './reviews.ts';
import { inRounds } from './rounds.ts';
import { median, sum } from './statistics.ts';
import type { Testbed } from './testbed.ts';

const CONNECTIONS = 8;
const CONTAINERS = [1, 10, 100];
/** The API server accepts objects of 3 MiB at most. */
const BYTES = [4_000, 16_000, 64_000, 256_000, 1_000_000, 2_900_000];

/** What a review costs by the number of its containers, and by its size. */
export async function measureScaling(
  testbed: Testbed,
  plan: Plan,
): Promise<Pick<Report, 'containers' | 'bodies'>> {
  await using running = await testbed.start('prefix');
  const { cpu } = running.process;
  const seconds = plan.seconds / TURNS_PER_ROUND;
  // The first loads would pay for compiling what the later ones use.
  await warmUpLoad(running.target(capturedReview()), plan.compiling);

  const measure = async (reviews: readonly SampleReview[]): Promise<ScalingRow[]> => {
    using loads = new DisposableStack();
    const open = async (
      review: SampleReview,
    ): Promise<{ review: SampleReview; load: FullLoad }> => {
      const target = running.target(review);
      const load = loads.use(await FullLoad.open(target, { connections: CONNECTIONS, cpu }));
      return { review, load };
    };
    const opened = await Promise.all(reviews.map(open));
    const turns = plan.sideRounds * TURNS_PER_ROUND;
    const table = await inRounds(turns, opened, ({ load }) => load.turn(seconds));
    return table.map(({ item: { review }, results }) => ({
      containers: review.rewrites,
      bytes: review.body.length,
      cpu: median(results.map(({ cpuSeconds, answers }) => (1e6 * cpuSeconds) / answers)),
      errors: sum(results.map(({ errors }) => errors)),
    }));
  };
  return {
    containers: await measure(CONTAINERS.map(reviewWithContainers)),
    bodies: await measure(BYTES.map(reviewOfBytes)),
  };
}
