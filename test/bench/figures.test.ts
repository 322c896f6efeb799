import { describe, expect, it } from '@jest/globals';
import { sumMetric } from './http.ts';
import {
  backgroundTime,
  cpuSeconds,
  parseMebibytes,
  parseRunTime,
  parseWaitingTime,
} from './process-figures.ts';
import { parseProcessorList } from './processors.ts';
import { productionArgs } from './production.ts';

describe('parseProcessorList', () => {
  it.each([
    ['0', [0]],
    ['0-1', [0, 1]],
    ['0-2,5,8-9', [0, 1, 2, 5, 8, 9]],
    ['', []],
  ])('reads %j', (list, expected) => {
    expect(parseProcessorList(list)).toEqual(expected);
  });
});

// There is no /proc elsewhere.
const onLinux = process.platform === 'linux' ? describe : describe.skip;

onLinux('cpuSeconds', () => {
  it('counts the first thread of a process, and those of the background', () => {
    const before = cpuSeconds(process.pid);
    const begun = process.cpuUsage();
    while (process.cpuUsage(begun).user < 100_000);
    expect(cpuSeconds(process.pid) - before).toBeGreaterThan(0.05);
    expect(cpuSeconds(process.pid)).toBeGreaterThan(backgroundTime(process.pid) / 1000);
  });
});

describe('parseWaitingTime', () => {
  it('reads the second field, which is in nanoseconds', () => {
    expect(parseWaitingTime('2500000 900000 17\n')).toBe(0.9);
  });
});

describe('parseRunTime', () => {
  it('takes the time that a thread ran, and not the time that it waited', () => {
    expect(parseRunTime('2500000 900000 17\n')).toBe(2.5);
  });
});

describe('parseMebibytes', () => {
  const status = 'Name:\tnode\nVmHWM:\t  102400 kB\nVmRSS:\t   51200 kB\n';

  it('reads memory now, and at its highest', () => {
    expect(parseMebibytes(status, 'VmRSS')).toBe(50);
    expect(parseMebibytes(status, 'VmHWM')).toBe(100);
  });
});

describe('sumMetric', () => {
  const text =
    '# HELP requests_total Requests.\nrequests_total{outcome="kept"} 2\nrequests_total{outcome="rewritten"} 40\nrequests_total_created 7\nentries 3\n';

  it('adds what a metric has for all its labels, and nothing of others with a longer name', () => {
    expect(sumMetric(text, 'requests_total')).toBe(42);
    expect(sumMetric(text, 'entries')).toBe(3);
  });

  it('is NaN where there is no such metric', () => {
    expect(sumMetric(text, 'other')).toBeNaN();
  });
});

describe('productionArgs', () => {
  it('takes the flags of Node.js from the entry point of the image', () => {
    const dockerfile =
      'FROM x\nENTRYPOINT ["/nodejs/bin/node", "--max-semi-space-size=4", "/app/main.js"]\nCMD ["serve"]\n';
    expect(productionArgs(dockerfile)).toEqual([
      '--max-semi-space-size=4',
      'dist/sdr-image-rewriter.js',
    ]);
  });

  it('finds the entry point of the image as it is', () => {
    expect(productionArgs()).toContain('dist/sdr-image-rewriter.js');
    expect(() => productionArgs('FROM x\n')).toThrow('ENTRYPOINT');
  });
});
