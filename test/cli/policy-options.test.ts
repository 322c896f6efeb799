import { describe, expect, it } from '@jest/globals';
import { shownPlace } from '../../src/cli/policy-options.ts';

describe('a place that is shown', () => {
  it.each([
    ['https://store.example/map.json?sig=SECRET', 'https://store.example/map.json'],
    ['https://user:SECRET@store.example/map.json', 'https://store.example/map.json'],
    ['s3://bucket/maps@2026/map.json', 's3://bucket/maps@2026/map.json'],
    ['file:///maps@2026/map.json', 'file:///maps@2026/map.json'],
    ['maps@2026/map#1.json', 'maps@2026/map#1.json'],
    ['-', '-'],
  ])('of %s is %s', (place, shown) => {
    expect(shownPlace(place)).toBe(shown);
  });
});
