// The alerts of the chart as a Prometheus without its operator takes them.
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { CHART, listChartValues } from './chart-docs.ts';
import { code } from './markdown.ts';

/** One alert of the chart, for a release as the README installs it. */
export interface ChartAlert {
  readonly name: string;
  /** PromQL. */
  readonly expression: string;
  /** How long it has to be so; undefined: at once. */
  readonly duration: string | undefined;
  readonly summary: string;
}

const RELEASE = 'job="sdr-image-rewriter",namespace="sdr-image-rewriter"';
const ALERT =
  /- alert: (\w+)\n(?: +#.*\n)? +expr: (.*)\n(?: +for: (\w+)\n)?[\s\S]*?summary: (.*)\n/g;
/** A call of the helper with a counter, which may have the release put into it. */
const GROWN = /^\{\{ include "sdr\.grown" \(?(?:printf )?("(?:[^"\\]|\\.)*")(?: \$of\))? \}\}$/;

function read(path: string): string {
  return readFileSync(fileURLToPath(new URL(`../${CHART}/${path}`, import.meta.url)), 'utf8');
}

/** Throws where an expression has something of a template in it that is not known here. */
export function listChartAlerts(): ChartAlert[] {
  const grown = /define "sdr\.grown" -\}\}\n(.*)\n/.exec(read('templates/_helpers.tpl'))?.[1] ?? '';
  return [...read('templates/prometheusrule.yaml').matchAll(ALERT)].map(
    ([, name = '', template = '', duration, summary = '']) => {
      const counter = GROWN.exec(template)?.[1];
      const expression =
        counter === undefined
          ? withValues(template)
          : grown.replaceAll('{{ . }}', (JSON.parse(counter) as string).replace('%s', RELEASE));
      if (expression === '' || expression.includes('{{')) {
        throw new Error(`${name}: the expression ${template} is of a form that is not known here`);
      }
      return { name, expression, duration, summary };
    },
  );
}

function withValues(template: string): string {
  return template
    .replaceAll(/\{ \{\{- \$of -\}\} \}/g, `{${RELEASE}}`)
    .replaceAll(/\{\{ \.(\w+) \| int64 \}\}/g, (_, key: string) => {
      const path = `metrics.prometheusRule.${key}`;
      return JSON.stringify(listChartValues().find((value) => value.path === path)?.standard);
    });
}

/** A list with the runbook of each, the expression below it to be copied. */
export function alertList(): string {
  return listChartAlerts()
    .map(({ name, expression, duration, summary }) => {
      const title = `[${code(name)}](operations.md#${name.toLowerCase()})`;
      const since = duration === undefined ? '' : `, for ${code(duration)}`;
      return `- ${title}${since}: ${summary}\n\n  \`\`\`promql\n  ${expression}\n  \`\`\``;
    })
    .join('\n\n');
}
