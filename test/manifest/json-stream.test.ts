import { describe, expect, it } from '@jest/globals';
import { splitJsonObjects } from '../../src/manifest/json-stream.ts';

describe('splitJsonObjects', () => {
  it.each([
    ['one a line', '{"a": 1}\n{"b": 2}\n', ['{"a": 1}', '\n{"b": 2}\n']],
    ['without white space', '{"a":{}}{"b":[{}]}{}', ['{"a":{}}', '{"b":[{}]}', '{}']],
    ['behind a byte order mark', '\uFEFF {}\r\n\t{}', ['\uFEFF {}', '\r\n\t{}']],
    ['over several lines', '{\n"a": 1\n}\n\n{\n}', ['{\n"a": 1\n}', '\n\n{\n}']],
    ['with braces and quotes in texts', String.raw`{"a": "\"}{"}{"}": "\\"}`, undefined],
    ['of which a later one has a fault', '{}\n{"a": b}\n{"c"\n', ['{}', '\n{"a": b}', '\n{"c"\n']],
    ['with something behind them', '{}{} x', ['{}', '{} x']],
  ])('cuts objects %s', (_title, text, expected) => {
    const pieces = splitJsonObjects(text);
    expect(pieces.join('')).toBe(text);
    expect(pieces).toEqual(expected ?? [String.raw`{"a": "\"}{"}`, String.raw`{"}": "\\"}`]);
  });

  it.each([
    ['nothing', ''],
    ['one object', ' { "a": [1] } '],
    ['a list', '[{}]\n[{}]'],
    ['YAML', 'a: {}\n{}'],
    ['YAML that a scan for quotes and braces takes for two objects', "{a: 'x} {y'}"],
    ['a template', '{{ .Values.a }}\n{{ .Values.b }}'],
    ['an object that does not end', '{"a": "}'],
  ])('leaves %s as it is', (_title, text) => {
    expect(splitJsonObjects(text)).toEqual([text]);
  });
});
