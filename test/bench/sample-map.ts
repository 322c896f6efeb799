import { FULL_IMAGE } from './reviews.ts';

export const REGISTRY = 'registry.corp.example';
/** Every so many entries one changes from a version of the map to the next. */
const CHANGED_EVERY = 100;
const REPOSITORIES = 500;

/** Where a version of the map sends the image of the reviews. */
export function mapTarget(version: number): string {
  return `${REGISTRY}/atlan/mysql:main-r${version}@sha256:${'a'.repeat(64)}`;
}

/** A map of so many entries, the same every time; one of them is for the image of the reviews. */
export function sampleMap(entries: number, version: number): string {
  const images = [
    { source: FULL_IMAGE, target: mapTarget(version) },
    ...Array.from({ length: entries - 1 }, (_, index) => ({
      source: sampleSource(index),
      target: sampleTarget(index, index % CHANGED_EVERY === 0 ? version : 1),
    })),
  ];
  return JSON.stringify({ apiVersion: 'sdr-image-map/v1', serial: version, images });
}

/** The source of one of the other entries, counted from 0. */
export function sampleSource(index: number): string {
  return `docker.io/atlanhq/app-${index % REPOSITORIES}:0.${Math.floor(index / REPOSITORIES)}.0`;
}

function sampleTarget(index: number, version: number): string {
  const tag = `0.${Math.floor(index / REPOSITORIES)}.0-r${version}`;
  const digest = (index * 1000 + version).toString(16).padStart(64, '0');
  return `${REGISTRY}/atlan/app-${index % REPOSITORIES}:${tag}@sha256:${digest}`;
}
