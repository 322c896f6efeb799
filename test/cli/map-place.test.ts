import { describe, expect, it } from '@jest/globals';
import { parseMapPlace } from '../../src/cli/map-place.ts';

describe('the place of a map', () => {
  it.each([
    ['https://store.example/map.json?sig=SECRET', 'https://store.example/map.json'],
    ['HTTPS://store.example/map.json?sig=SECRET', 'https://store.example/map.json'],
    ['https://user:SECRET@store.example/map.json', 'https://store.example/map.json'],
    ['s3://bucket/maps@2026/map.json', 's3://bucket/maps@2026/map.json'],
    ['file:///maps@2026/map.json', 'file:///maps@2026/map.json'],
    ['maps@2026/map#1.json', 'maps@2026/map#1.json'],
    ['-', '-'],
  ])('%s is shown as %s', (text, shown) => {
    expect(parseMapPlace(text).shown).toBe(shown);
  });

  it.each([
    ['-', 'standard-input', '-'],
    ['map.json', 'file', 'map.json'],
    ['./a:b/map.json', 'file', './a:b/map.json'],
    ['s3://bucket/Key', 'url', 's3://bucket/Key'],
    ['S3://bucket/Key', 'url', 's3://bucket/Key'],
    ['https://store.example/Map?sig=T', 'url', 'https://store.example/Map?sig=T'],
  ])('%s is of the kind %s and read by %s', (text, kind, readBy) => {
    expect(parseMapPlace(text)).toMatchObject({ kind, text: readBy });
  });
});
