import { isRecord } from '../json-value.ts';

export type Labels = Readonly<Record<string, unknown>>;

/** One condition of a label selector; all of them must hold. */
export interface Requirement {
  readonly key: string;
  readonly operator: string;
  readonly values: readonly string[];
}

/**
 * Reads a LabelSelector; an empty or absent one has no requirements and so selects everything.
 * https://kubernetes.io/docs/concepts/overview/working-with-objects/labels/#resources-that-support-set-based-requirements
 */
export function readSelector(selector: unknown): Requirement[] {
  const { matchLabels, matchExpressions } = isRecord(selector) ? selector : {};
  const equalities = Object.entries(isRecord(matchLabels) ? matchLabels : {}).map(
    ([key, value]): Requirement => ({ key, operator: 'In', values: [String(value)] }),
  );
  const expressions = Array.isArray(matchExpressions) ? matchExpressions.filter(isRecord) : [];
  return [
    ...equalities,
    ...expressions.map(({ key, operator, values }): Requirement => {
      return {
        key: String(key),
        operator: String(operator),
        values: Array.isArray(values) ? values.map(String) : [],
      };
    }),
  ];
}

/** The requirements that labels do not meet; none: they are selected. */
export function unmetRequirements(
  requirements: readonly Requirement[],
  labels: Labels,
): Requirement[] {
  return requirements.filter((requirement) => !isMet(requirement, labels));
}

/** An operator that does not exist is never met: the API server would have refused the selector. */
function isMet({ key, operator, values }: Requirement, labels: Labels): boolean {
  const isThere = Object.hasOwn(labels, key);
  const isListed = isThere && values.includes(String(labels[key]));
  switch (operator) {
    case 'In':
      return isListed;
    case 'NotIn':
      return !isListed;
    case 'Exists':
      return isThere;
    case 'DoesNotExist':
      return !isThere;
    default:
      return false;
  }
}

/** What a selector wants and what it found: `label a In [b], and it has a=c`. */
export function unmetText(unmet: readonly Requirement[], labels: Labels): string {
  return unmet
    .map(({ key, operator, values }) => {
      const list = values.length === 0 ? '' : ` [${values.join(', ')}]`;
      const found = Object.hasOwn(labels, key) ? `is ${String(labels[key])}` : 'is missing';
      return `${key} ${operator}${list}, and it ${found}`;
    })
    .join('; ');
}
