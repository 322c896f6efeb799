import { describe, expect, it } from '@jest/globals';
import { jsonPath } from '../../src/core/json-path.ts';

describe('jsonPath', () => {
  it.each([
    [[], '$'],
    [['images'], '$.images'],
    [['images', 3, 'target'], '$.images[3].target'],
    [[0, 1], '$[0][1]'],
    [['docker.io/atlanhq/app:1'], '$["docker.io/atlanhq/app:1"]'],
    [['3'], '$["3"]'],
    [[''], '$[""]'],
    [['say "hi"\n'], '$["say \\"hi\\"\\n"]'],
    [['__proto__', 'constructor'], '$.__proto__.constructor'],
    [['café'], '$["café"]'],
  ])('renders %j as %s', (segments, path) => {
    expect(jsonPath(segments)).toBe(path);
  });
});
