import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { readSelector, unmetRequirements, unmetText } from '../../../src/core/coverage/label-selector.ts';

const LABELS = { mode: 'enforce', team: 'data' };

function selects(selector: unknown, labels: Record<string, unknown> = LABELS): boolean {
  return unmetRequirements(readSelector(selector), labels).length === 0;
}

function expression(key: string, operator: string, values?: readonly string[]): object {
  return { matchExpressions: [{ key, operator, values }] };
}

describe('a label selector', () => {
  it.each([[undefined], [null], [{}], [{ matchLabels: {} }], [{ matchExpressions: [] }]])(
    'selects everything where it is %j',
    (selector) => {
      expect(selects(selector)).toBe(true);
      expect(selects(selector, {})).toBe(true);
    },
  );

  it.each([
    [{ matchLabels: { mode: 'enforce' } }, true],
    [{ matchLabels: { mode: 'audit' } }, false],
    [{ matchLabels: { mode: 'enforce', team: 'other' } }, false],
    [expression('mode', 'In', ['audit', 'enforce']), true],
    [expression('mode', 'In', ['audit']), false],
    [expression('absent', 'In', ['a']), false],
    [expression('mode', 'NotIn', ['audit']), true],
    [expression('mode', 'NotIn', ['enforce']), false],
    [expression('absent', 'NotIn', ['a']), true],
    [expression('mode', 'Exists'), true],
    [expression('absent', 'Exists'), false],
    [expression('mode', 'DoesNotExist'), false],
    [expression('absent', 'DoesNotExist'), true],
    [expression('mode', 'Gt', ['1']), false],
    [{ matchLabels: { team: 'data' }, ...expression('mode', 'In', ['audit']) }, false],
    [expression('constructor', 'Exists'), false],
  ])('%j selects as Kubernetes does', (selector, expected) => {
    expect(selects(selector)).toBe(expected);
  });

  it('says what each unmet requirement wants and what there is', () => {
    const selector = {
      matchExpressions: [
        { key: 'mode', operator: 'In', values: ['audit', 'off'] },
        { key: 'absent', operator: 'Exists' },
        { key: 'team', operator: 'Exists' },
      ],
    };
    expect(unmetText(unmetRequirements(readSelector(selector), LABELS), LABELS)).toBe(
      'mode In [audit, off], and it is enforce; absent Exists, and it is missing',
    );
  });

  it('has exactly one of two opposite operators met, whatever the labels', () => {
    const texts = fc.constantFrom('a', 'b', 'c');
    const labels = fc.dictionary(texts, texts);
    fc.assert(
      fc.property(labels, texts, fc.array(texts), (found, key, values) => {
        for (const [one, other] of [
          ['In', 'NotIn'],
          ['Exists', 'DoesNotExist'],
        ] as const) {
          expect(selects(expression(key, one, values), found)).not.toBe(
            selects(expression(key, other, values), found),
          );
        }
      }),
    );
  });
});
