import { describe, expect, it } from '@jest/globals';
import {
  annotationOperations,
  DECIDED_BY_ANNOTATION,
  imageOperations,
  ORIGINAL_IMAGES_ANNOTATION,
  pullSecretOperations,
  readOriginals,
  type Rewrite,
} from '../../src/core/patch.ts';
import { listPodImages } from '../../src/core/pod-images.ts';
import { patched } from '../support/patches.ts';
import { podOf, valueAt } from '../support/pods.ts';

const ORIGINAL_POINTER = '/metadata/annotations/sdr-image-rewriter.io~1original-images';
const DECIDED_BY_POINTER = '/metadata/annotations/sdr-image-rewriter.io~1decided-by';
const LIMIT = 256 * 1024;

function rewritesOf(pod: unknown): Rewrite[] {
  return listPodImages(pod).map((image) => ({ image, target: `r.example/${image.image}` }));
}

function annotate(annotations: unknown) {
  const pod = podOf(['a:1'], { metadata: { annotations } });
  return annotationOperations(pod, rewritesOf(pod), 'prefix');
}

describe('imageOperations', () => {
  it('replaces each image where it stands', () => {
    const pod = podOf(['a:1', 'b:1']);
    expect(imageOperations(rewritesOf(pod))).toEqual([
      { op: 'replace', path: '/spec/containers/0/image', value: 'r.example/a:1' },
      { op: 'replace', path: '/spec/containers/1/image', value: 'r.example/b:1' },
    ]);
  });
});

describe('annotationOperations', () => {
  const added = {
    [ORIGINAL_IMAGES_ANNOTATION]: '{"containers/main":"a:1"}',
    [DECIDED_BY_ANNOTATION]: 'prefix',
  };
  const addedOneByOne = [
    { op: 'add', path: ORIGINAL_POINTER, value: added[ORIGINAL_IMAGES_ANNOTATION] },
    { op: 'add', path: DECIDED_BY_POINTER, value: 'prefix' },
  ];

  it('adds the whole object where the pod has none', () => {
    const pod = podOf(['a:1']);
    expect(annotationOperations(pod, rewritesOf(pod), 'prefix')).toEqual([
      { op: 'add', path: '/metadata/annotations', value: added },
    ]);
  });

  it('adds the whole object where the pod has null', () => {
    expect(annotate(null)).toEqual([{ op: 'add', path: '/metadata/annotations', value: added }]);
  });

  it('adds key by key where the pod has annotations, however odd', () => {
    for (const annotations of [{}, { a: '1' }, { constructor: 'x', 'a/b~c': 'y' }]) {
      expect(annotate(annotations)).toEqual(addedOneByOne);
    }
    expect(annotate(JSON.parse('{"__proto__":"x"}'))).toEqual(addedOneByOne);
  });

  it.each([['text'], [7], [true], [['a']]])(
    'leaves annotations of the wrong type alone: %j',
    (bad) => {
      expect(annotate(bad)).toEqual([]);
    },
  );

  it.each([[undefined], [null], ['text'], [[]]])(
    'leaves a pod alone whose metadata is %j',
    (metadata) => {
      const pod = { ...podOf(['a:1']), metadata };
      expect(annotationOperations(pod, rewritesOf(pod), 'prefix')).toEqual([]);
    },
  );

  it('keeps the first original and adds the new ones', () => {
    const pod = podOf(['r.example/a:1', 'b:1'], {
      metadata: {
        annotations: {
          [ORIGINAL_IMAGES_ANNOTATION]: '{"containers/main":"a:1","volumes/model":"m:1"}',
          [DECIDED_BY_ANNOTATION]: 'prefix',
        },
      },
    });
    const after = patched(pod, annotationOperations(pod, rewritesOf(pod), 'map serial=1 etag=x'));
    expect(JSON.parse(String(valueAt(after, ORIGINAL_POINTER)))).toEqual({
      'containers/main': 'a:1',
      'volumes/model': 'm:1',
      'containers/main-1': 'b:1',
    });
    expect(valueAt(after, DECIDED_BY_POINTER)).toBe('map serial=1 etag=x');
  });

  it('writes nothing that stands there already', () => {
    expect(annotate(added)).toEqual([]);
  });

  it.each(['', 'null', '[]', '"text"', '{"containers/main":1}', '{broken'])(
    'replaces a value that is not ours: %p',
    (value) => {
      expect(annotate({ [ORIGINAL_IMAGES_ANNOTATION]: value })).toEqual(addedOneByOne);
    },
  );

  it('replaces a value that is no string', () => {
    expect(annotate({ [ORIGINAL_IMAGES_ANNOTATION]: { a: 1 } })).toEqual(addedOneByOne);
  });

  it('keeps to the limit of the API server, to the byte', () => {
    const ours = Object.entries(added).flat().join('').length;
    const room = LIMIT - ours - 'key'.length;
    expect(annotate({ key: 'x'.repeat(room) })).toHaveLength(2);
    expect(annotate({ key: 'x'.repeat(room + 1) })).toEqual([]);
  });

  it('counts bytes, not characters', () => {
    const ours = Object.entries(added).flat().join('').length;
    const room = Math.floor((LIMIT - ours - 'key'.length) / 3);
    expect(annotate({ key: '€'.repeat(room) })).toHaveLength(2);
    expect(annotate({ key: '€'.repeat(room + 1) })).toEqual([]);
  });

  it('counts the value that it replaces only once', () => {
    const half = 'x'.repeat(LIMIT / 2);
    const operations = annotate({
      [ORIGINAL_IMAGES_ANNOTATION]: JSON.stringify({ 'containers/main': half }),
    });
    expect(operations.map(({ path }) => path)).toEqual([DECIDED_BY_POINTER]);
  });
});

describe('readOriginals', () => {
  it('reads back what was written', () => {
    expect(readOriginals('{"containers/main":"a:1"}')).toEqual({ 'containers/main': 'a:1' });
  });

  it.each([[undefined], [null], [1], [{}], [''], ['{'], ['[]'], ['null'], ['"x"'], ['{"a":1}']])(
    'takes %j for nothing',
    (annotation) => {
      expect(readOriginals(annotation)).toEqual({});
    },
  );

  it('keeps a label such as __proto__', () => {
    const originals = readOriginals('{"__proto__":"a:1"}');
    expect(Object.entries(originals)).toEqual([['__proto__', 'a:1']]);
  });
});

describe('pullSecretOperations', () => {
  const names = ['corp', 'backup'];
  const append = (name: string) => ({
    op: 'add',
    path: '/spec/imagePullSecrets/-',
    value: { name },
  });

  function operationsFor(imagePullSecrets: unknown, wanted: readonly string[] = names) {
    return pullSecretOperations(podOf(['a:1'], { spec: { imagePullSecrets } }), wanted);
  }

  it('adds the list where the pod has none', () => {
    const operation = {
      op: 'add',
      path: '/spec/imagePullSecrets',
      value: [{ name: 'corp' }, { name: 'backup' }],
    };
    expect(pullSecretOperations(podOf(['a:1']), names)).toEqual([operation]);
    expect(operationsFor(null)).toEqual([operation]);
  });

  it('appends to the list of the pod', () => {
    expect(operationsFor([])).toEqual([append('corp'), append('backup')]);
    expect(operationsFor([{ name: 'atlan-docker-secret' }])).toEqual([
      append('corp'),
      append('backup'),
    ]);
  });

  it('appends only what is absent', () => {
    expect(operationsFor([{ name: 'backup' }, { name: 'x' }])).toEqual([append('corp')]);
    expect(operationsFor([{ name: 'backup' }, { name: 'corp' }])).toEqual([]);
  });

  it('appends beside elements of the wrong shape', () => {
    expect(operationsFor([null, 'corp', { name: 1 }, {}, [{ name: 'corp' }]])).toEqual([
      append('corp'),
      append('backup'),
    ]);
  });

  it('appends a name once that is wanted twice', () => {
    expect(operationsFor([], ['corp', 'corp'])).toEqual([append('corp')]);
    expect(pullSecretOperations(podOf(['a:1']), ['corp', 'corp'])).toEqual([
      { op: 'add', path: '/spec/imagePullSecrets', value: [{ name: 'corp' }] },
    ]);
  });

  it.each([['corp'], [7], [{ name: 'corp' }], [true]])(
    'leaves a list of the wrong type alone: %j',
    (bad) => {
      expect(operationsFor(bad)).toEqual([]);
    },
  );

  it('does nothing where no name is wanted', () => {
    expect(operationsFor(undefined, [])).toEqual([]);
    expect(operationsFor([], [])).toEqual([]);
  });

  it('does nothing where the pod has no spec', () => {
    expect(pullSecretOperations({}, names)).toEqual([]);
    expect(pullSecretOperations({ spec: [] }, names)).toEqual([]);
  });
});
