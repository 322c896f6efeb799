import { describe, expect, it } from '@jest/globals';
import { IMAGE_FIELDS, imageLabel, listPodImages } from '../../src/core/pod-images.ts';
import { valueAt } from '../support/pods.ts';
import { capturedReview } from '../support/reviews.ts';

describe('listPodImages', () => {
  it('finds the images of every kind of container and of volumes', () => {
    const pod = {
      spec: {
        initContainers: [
          { name: 'wait', image: 'a:1' },
          { name: 'sidecar', image: 'b:1', restartPolicy: 'Always' },
        ],
        containers: [
          { name: 'main', image: 'c:1' },
          { name: 'proxy', image: 'd:1' },
        ],
        ephemeralContainers: [{ name: 'debugger', image: 'e:1', targetContainerName: 'main' }],
        volumes: [
          { name: 'tmp', emptyDir: {} },
          { name: 'model', image: { reference: 'f:1', pullPolicy: 'Always' } },
        ],
      },
    };
    const images = listPodImages(pod);
    expect(images.map((image) => [imageLabel(image), image.image, image.pointer])).toEqual([
      ['containers/main', 'c:1', '/spec/containers/0/image'],
      ['containers/proxy', 'd:1', '/spec/containers/1/image'],
      ['initContainers/wait', 'a:1', '/spec/initContainers/0/image'],
      ['initContainers/sidecar', 'b:1', '/spec/initContainers/1/image'],
      ['ephemeralContainers/debugger', 'e:1', '/spec/ephemeralContainers/0/image'],
      ['volumes/model', 'f:1', '/spec/volumes/1/image/reference'],
    ]);
    for (const { pointer, image } of images) {
      expect(valueAt(pod, pointer)).toBe(image);
    }
  });

  it.each([
    [
      'create-deployment-pod',
      ['containers/main', 'initContainers/wait-for-temporal', 'initContainers/daprd'],
    ],
    ['create-job-pod-digest', ['containers/main', 'containers/sidecar']],
    ['create-plain-pod-image-volume', ['containers/main', 'containers/other', 'volumes/model']],
    [
      'update-ephemeralcontainers',
      [
        'containers/main',
        'containers/other',
        'ephemeralContainers/debugger-8jjvc',
        'volumes/model',
      ],
    ],
  ])('finds those of the captured review %s', (name, labels) => {
    const { object } = capturedReview(name).request;
    expect(listPodImages(object).map(imageLabel)).toEqual(labels);
  });

  it.each([
    ['no object', null],
    ['a string', 'pod'],
    ['a list', [{ spec: {} }]],
    ['no spec', {}],
    ['a spec that is null', { spec: null }],
    ['a spec that is a list', { spec: [] }],
    ['no containers', { spec: {} }],
    ['containers that are null', { spec: { containers: null } }],
    ['containers that are an object', { spec: { containers: { 0: { image: 'a:1' } } } }],
    ['containers that are a string', { spec: { containers: 'a:1' } }],
    ['a container that is null', { spec: { containers: [null] } }],
    ['a container that is a string', { spec: { containers: ['a:1'] } }],
    ['a container that is a list', { spec: { containers: [[]] } }],
    ['no image', { spec: { containers: [{ name: 'main' }] } }],
    ['an image that is null', { spec: { containers: [{ name: 'main', image: null }] } }],
    ['an image that is a number', { spec: { containers: [{ name: 'main', image: 1 }] } }],
    ['an image that is a list', { spec: { containers: [{ name: 'main', image: ['a:1'] }] } }],
    ['an image that is empty', { spec: { containers: [{ name: 'main', image: '' }] } }],
    ['a volume image that is a string', { spec: { volumes: [{ name: 'v', image: 'a:1' }] } }],
    ['a volume image that is null', { spec: { volumes: [{ name: 'v', image: null }] } }],
    ['a volume image without reference', { spec: { volumes: [{ name: 'v', image: {} }] } }],
    ['a reference that is no string', { spec: { volumes: [{ image: { reference: 1 } }] } }],
    ['a pod template', { template: { spec: { containers: [{ name: 'a', image: 'a:1' }] } } }],
  ])('finds none in a pod with %s', (_title, pod) => {
    expect(listPodImages(pod)).toEqual([]);
  });

  it('passes over what is broken and keeps the index of the rest', () => {
    const pod = { spec: { containers: [null, { name: 'a' }, { name: 7, image: 'a:1' }] } };
    expect(listPodImages(pod)).toEqual([
      { field: 'containers', name: undefined, image: 'a:1', pointer: '/spec/containers/2/image' },
    ]);
  });

  it('lists containers of the same name one by one', () => {
    const pod = {
      spec: {
        containers: [
          { name: 'a', image: 'a:1' },
          { name: 'a', image: 'b:1' },
        ],
      },
    };
    expect(listPodImages(pod).map(({ pointer }) => pointer)).toEqual([
      '/spec/containers/0/image',
      '/spec/containers/1/image',
    ]);
  });

  it('knows the four fields of a pod that name images', () => {
    expect(IMAGE_FIELDS).toEqual([
      'containers',
      'initContainers',
      'ephemeralContainers',
      'volumes',
    ]);
  });
});

describe('imageLabel', () => {
  it('names field and container', () => {
    expect(imageLabel({ field: 'initContainers', name: 'wait' })).toBe('initContainers/wait');
    expect(imageLabel({ field: 'containers', name: undefined })).toBe('containers/');
  });
});
