import { describe, expect, it } from '@jest/globals';
import { partsOf } from './pause-parts.ts';

const REVIEW = { begun: 100, ended: 110 };
const NONE = { waits: [], collections: [], stops: [] };

describe('The time of the slowest review', () => {
  it('is none of the three where nothing else happened', () => {
    expect(partsOf(REVIEW, NONE)).toEqual({ waiting: 0, collecting: 0, unloaded: 0 });
  });

  it('counts of each only what lies within the review', () => {
    const parts = partsOf(REVIEW, {
      waits: [
        { begun: 90, ended: 99 },
        { begun: 98, ended: 101 },
      ],
      collections: [{ begun: 103, ended: 105 }],
      stops: [{ begun: 109, ended: 120 }],
    });
    expect(parts).toEqual({ waiting: 1, collecting: 2, unloaded: 1 });
  });

  it('counts what is of two kinds at once as a wait first, then as a collection', () => {
    const parts = partsOf(REVIEW, {
      waits: [{ begun: 102, ended: 106 }],
      collections: [{ begun: 101, ended: 107 }],
      stops: [{ begun: 100, ended: 110 }],
    });
    expect(parts).toEqual({ waiting: 4, collecting: 2, unloaded: 4 });
  });

  it('counts overlapping waits once, in whichever order they were noted', () => {
    const waits = [
      { begun: 105, ended: 108 },
      { begun: 101, ended: 106 },
      { begun: 102, ended: 103 },
    ];
    expect(partsOf(REVIEW, { ...NONE, waits }).waiting).toBe(7);
  });
});
