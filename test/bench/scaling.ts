import { openFullLoad, warmUpLoad } from './load.ts';
import { type Plan, TURNS_PER_ROUND } from './plan.ts';
import type { Report, ScalingRow } from './report.ts';
import {
  capturedReview,
  reviewOfBytes,
  reviewWithContainers,
  type SampleReview,
} from './reviews.ts';
import { inRoundsOfProcesses } from './rounds.ts';
import { median, sum } from './statistics.ts';
import type { Testbed } from './testbed.ts';

const CONNECTIONS = 8;
const CONTAINERS = [1, 10, 100];
/** The API server accepts objects of 3 MiB at most. */
const BYTES = [4_000, 16_000, 64_000, 256_000, 1_000_000, 2_900_000];

/** What a review costs by the number of its containers, and by its size. */
export async function measureScaling(
  testbed: Testbed,
  { sideRounds, compiling, seconds }: Plan,
): Promise<Pick<Report, 'containers' | 'bodies'>> {
  await using running = await testbed.start('prefix');
  const { cpu } = running.process;
  const options = { connections: CONNECTIONS, seconds: seconds / TURNS_PER_ROUND, cpu };
  const turns = { processes: 1, rounds: sideRounds * TURNS_PER_ROUND, settling: 0 };
  // The first loads would pay for compiling what the later ones use.
  await warmUpLoad(running.target(capturedReview()), compiling);

  const measure = async (reviews: readonly SampleReview[]): Promise<ScalingRow[]> => {
    const table = await inRoundsOfProcesses(turns, reviews, (review) =>
      openFullLoad(running.target(review), options),
    );
    return table.map(({ item: { rewrites, body }, results }) => ({
      containers: rewrites,
      bytes: body.length,
      cpu: median(results.map(({ cpuSeconds, answers }) => (1e6 * cpuSeconds) / answers)),
      errors: sum(results.map(({ errors }) => errors)),
    }));
  };
  return {
    containers: await measure(CONTAINERS.map(reviewWithContainers)),
    bodies: await measure(BYTES.map(reviewOfBytes)),
  };
}
