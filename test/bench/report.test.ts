import { describe, expect, it } from '@jest/globals';
import { FULL } from './plan.ts';
import { renderMarkdown, renderText } from './render.ts';
import { parseReports, type Report } from './report.ts';
import type { Subject } from './subjects.ts';
import { isMet, judge, judgeRuns } from './targets.ts';

const LATENCY = { p50: 0.25, p99: 1, p999: 2 };

/** Ratios over the floor, over Fastify and over the prefix rule. */
function throughput(subject: Subject, connections: number, ...ratios: [number, number, number]) {
  const [overFloor, overFastify, overPrefix] = ratios;
  const rates = { perSecond: 9_800, perCpuSecond: 9_900, overFloor, overFastify, overPrefix };
  return { subject, connections, ...rates, busy: 0.98, errors: 0, ...LATENCY };
}

const AUDITED = {
  subject: 'prefix' as const,
  answers: 500,
  lines: 500,
  counted: 500,
  answerBytes: 800,
  lineBytes: 900,
};

/** A run that meets every target, just so. */
const GOOD: Report = {
  date: '2026-11-24T03:00:00.000Z',
  machine: {
    processor: 'Test Processor',
    processors: 2,
    isPinned: true,
    memoryGibibytes: 16.2,
    kernel: '6.1',
    node: 'v24.0.0',
  },
  plan: FULL,
  throughput: [
    throughput('floor', 8, 1, 3.33, 2.5),
    throughput('fastify', 8, 0.3, 1, 0.75),
    throughput('prefix', 8, 0.4, 1.33, 1),
    throughput('map-10k', 8, 0.397, 1.32, 0.99),
    throughput('map-100k', 8, 0.393, 1.31, 0.98),
    throughput('floor', 64, 1, 3.33, 3.03),
    throughput('fastify', 64, 0.3, 1, 0.91),
    throughput('prefix', 64, 0.33, 1.1, 1),
    throughput('map-10k', 64, 0.327, 1.09, 0.99),
    throughput('map-100k', 64, 0.313, 1.05, 0.95),
  ],
  halfLoad: [
    { subject: 'floor', perSecond: 15_000, errors: 0, ...LATENCY },
    { subject: 'prefix', perSecond: 6_000, errors: 0, ...LATENCY, p99: 3 },
  ],
  memory: [
    { subject: 'floor', idle: 50, peak: 100 },
    { subject: 'prefix', idle: 70, peak: 125 },
    { subject: 'map-100k', idle: 120, peak: 190 },
  ],
  connections: [{ subject: 'prefix', perSecond: 900, perCpuSecond: 1200, errors: 0 }],
  swaps: [
    {
      subject: 'map-10k',
      entries: 10_000,
      mebibytes: 1.7,
      load: 90,
      pause: 5,
      worstPause: 9,
      quietPause: 1.5,
      waiting: 3,
      collecting: 2,
      unloaded: 0.5,
      background: 9,
      eventLoopLag: 14,
      peak: 120,
      errors: 0,
    },
    {
      subject: 'map-100k',
      entries: 100_000,
      mebibytes: 16.7,
      load: 900,
      pause: 25,
      worstPause: 40,
      quietPause: 1.5,
      waiting: 3,
      collecting: 2,
      unloaded: 0.5,
      background: 9,
      eventLoopLag: NaN,
      peak: 220,
      errors: 0,
    },
  ],
  floorPause: 1.4,
  starts: [
    { name: 'node', median: 40, slowest: 44, background: NaN },
    { name: 'code', median: 200, slowest: 220, background: NaN },
    { name: 'prefix', median: 350, slowest: 390, background: 30 },
    { name: 'cached-map', median: 450, slowest: 500, background: 60 },
    { name: 'new-map', median: 500, slowest: 520, background: 90 },
  ],
  containers: [
    { containers: 1, bytes: 5_000, cpu: 100, errors: 0 },
    { containers: 10, bytes: 20_000, cpu: 300, errors: 0 },
  ],
  bodies: [
    { containers: 1, bytes: 4_000, cpu: 90, errors: 0 },
    { containers: 1, bytes: 16_000, cpu: 240, errors: 0 },
  ],
  decisions: [{ subject: 'prefix', nanoseconds: 900.4 }],
  allocation: [{ subject: 'prefix', bytes: 40_000.2, collectionsPerSecond: 20 }],
  audit: [AUDITED],
};

const targetOf = (report: Report, title: string) => {
  const found = judge(report).find((target) => target.title === title);
  if (found === undefined) throw new Error(`no target ${title}`);
  return found;
};

describe('the targets', () => {
  it('are met by a run that just reaches them', () => {
    expect(judge(GOOD).filter((target) => !isMet(target))).toEqual([]);
  });

  it('look at the number of connections where the ratio is worse', () => {
    const title = 'reviews per CPU second, prefix rule, over the floor';
    expect(targetOf(GOOD, title).measured).toBe(0.33);
  });

  it.each<[string, Partial<Report>]>([
    [
      'wrong answers',
      {
        throughput: GOOD.throughput.map((row, index) => ({ ...row, errors: index === 3 ? 1 : 0 })),
      },
    ],
    ['wrong answers', { containers: GOOD.containers.map((row) => ({ ...row, errors: 1 })) }],
    [
      'answers without a line in the audit log, or not counted',
      { audit: [{ ...AUDITED, lines: 499 }] },
    ],
    [
      'answers without a line in the audit log, or not counted',
      { audit: [{ ...AUDITED, counted: NaN }] },
    ],
    ['p99 at half load, prefix rule, over the floor', { halfLoad: [] }],
    ['peak memory, prefix rule, above the floor', { memory: [] }],
    [
      'growth of the cost with the bytes, over linear',
      { bodies: GOOD.bodies.map((row) => ({ ...row, cpu: row.bytes ** 2 })) },
    ],
  ])('fail %s for a run that misses or lacks it', (title, change) => {
    const report = { ...GOOD, ...change };
    const missed = judge(report).filter((target) => !isMet(target));
    expect(missed.map((target) => target.title)).toContain(title);
  });
});

describe('the targets of several runs', () => {
  const title = 'reviews per CPU second, prefix rule, over Fastify';
  const ofRuns = (...ratios: readonly number[]): boolean[] => {
    const reports = ratios.map((overFastify) => ({
      ...GOOD,
      throughput: GOOD.throughput.map((row) => ({ ...row, overFastify })),
    }));
    return judgeRuns(reports)
      .filter((target) => target.title === title)
      .map(isMet);
  };

  it('are met where every run meets them', () => {
    expect(ofRuns(1.2, 1.1, 1.3)).toEqual([true]);
    expect(ofRuns(1.2, 1.0, 1.3)).toEqual([false]);
  });

  it('are missed where a run lacks the figure', () => {
    expect(ofRuns(1.2, NaN)).toEqual([false]);
  });
});

describe('the report', () => {
  it('says how far a figure is from its target', () => {
    const slow = {
      ...GOOD,
      starts: [{ name: 'prefix' as const, median: 525, slowest: 600, background: 30 }],
    };
    const line = renderMarkdown([slow])
      .split('\n')
      .find((each) => each.includes('exec to ready, prefix rule'));
    expect(line).toBe('| exec to ready, prefix rule | 525.0 ms | at most 350.0 ms | no (+50 %) |');
  });

  it('shows every run, and how far the worst of them is from each target', () => {
    const starts = (median: number): Partial<Report> => ({
      starts: [{ name: 'prefix' as const, median, slowest: 600, background: 30 }],
    });
    const lines = renderMarkdown([
      { ...GOOD, ...starts(525) },
      { ...GOOD, ...starts(200) },
    ]).split('\n');
    expect(lines).toContain('| target | run 1 | run 2 | wanted | met |');
    expect(lines).toContain(
      '| exec to ready, prefix rule | 525.0 ms | 200.0 ms | at most 350.0 ms | no (+50 %) |',
    );
  });

  it('says of a missed target, and of no other, what stands in the way', () => {
    const slow = {
      ...GOOD,
      swaps: GOOD.swaps.map((row) => ({ ...row, pause: row.pause + 0.1 })),
    };
    const reason = 'While a map is taken into use';
    expect(renderMarkdown([slow])).toContain(reason);
    expect(renderMarkdown([GOOD])).not.toContain(reason);
  });

  it('says how many processes of each server took part', () => {
    const { rounds, seconds, processes, settling } = FULL;
    expect(renderText([GOOD])).toContain(
      `${rounds} rounds of ${seconds} s, those of full load in 4 turns each; ${processes} processes of each server had theirs one after the other, each after ${settling} more`,
    );
  });

  it('names the machine, and says whether server and load were kept apart', () => {
    expect(renderText([GOOD])).toContain('Test Processor, 2 processors, 16 GiB, Linux 6.1');
    expect(renderText([GOOD])).toContain('a processor of their own each');
    const loose = { ...GOOD, machine: { ...GOOD.machine, isPinned: false } };
    expect(renderText([loose])).toContain('were not pinned');
  });

  it('shows each subject beside the floor, Fastify and the prefix rule at the same number of connections', () => {
    const rows = renderMarkdown([GOOD])
      .split('\n')
      .filter((line) => line.startsWith('| sdr-image-rewriter, prefix rule'));
    expect(rows).toContain(
      '| sdr-image-rewriter, prefix rule | 64 | 9800 | 9900 | 0.330 | 1.10 | 1.00 | 0.25 | 1.00 | 2.00 | 98 % | 0 |',
    );
  });

  it('has the same figures on the terminal as in the documentation', () => {
    const figures = (text: string): string[] => text.match(/\d[\d,.]*/g) ?? [];
    expect(figures(renderText([GOOD]))).toEqual(figures(renderMarkdown([GOOD])));
  });

  it('puts the figures of a column below one another', () => {
    const lines = renderText([GOOD]).split('\n');
    const start = lines.findIndex((line) => line.startsWith('configuration'));
    const [head, ...rows] = lines.slice(start, start + 6);
    expect(new Set(rows.map((row) => row.length))).toEqual(new Set([head?.length]));
  });

  it('survives the way through JSON, figures that could not be had included', () => {
    expect(parseReports(JSON.stringify([GOOD]))).toEqual([GOOD]);
  });
});
