import { KubeConfig } from './kubernetes-client.ts';
import { quote, RewriterError } from '../core/errors.ts';
import { isRecord } from '../core/json-value.ts';

/** Which cluster to read, and as whom; what is absent is found as kubectl does. */
export interface ClusterChoice {
  readonly kubeconfig?: string | undefined;
  readonly context?: string | undefined;
}

/** What the client library makes up where there is nothing. */
const NOWHERE = 'http://localhost:8080';

/** Reads the kubeconfig and settles on a context. Throws `KUBECONFIG_INVALID`. */
export function loadKubeConfig({ kubeconfig, context }: ClusterChoice): KubeConfig {
  const config = new KubeConfig();
  try {
    if (kubeconfig === undefined) {
      config.loadFromDefault();
    } else {
      config.loadFromFile(kubeconfig);
    }
  } catch (error) {
    const place = kubeconfig === undefined ? '' : ` ${quote(kubeconfig)}`;
    throw invalid(`the kubeconfig${place} cannot be read: ${firstLine(error)}`, error);
  }
  if (kubeconfig === undefined && config.getCurrentCluster()?.server === NOWHERE) {
    throw invalid(
      'there is no kubeconfig: neither --kubeconfig, nor KUBECONFIG, nor ~/.kube/config',
    );
  }
  checkContext(config, context);
  return config;
}

function checkContext(config: KubeConfig, wanted: string | undefined): void {
  const names = config.getContexts().map(({ name }) => name);
  const has = names.length === 0 ? 'it has none' : `it has ${names.join(', ')}`;
  // The library's type hides that a file may lack it.
  const current = config.getCurrentContext() as string | undefined;
  const name = wanted ?? current;
  if (name === undefined || name === '') {
    throw invalid(`the kubeconfig has no current context; name one with --context (${has})`);
  }
  if (!names.includes(name)) {
    throw invalid(`the kubeconfig has no context ${quote(name)}; ${has}`);
  }
  config.setCurrentContext(name);
  if (config.getCurrentCluster() === null) {
    throw invalid(`the context ${quote(name)} is of a cluster that the kubeconfig does not have`);
  }
}

function invalid(message: string, cause?: unknown): RewriterError {
  return new RewriterError('KUBECONFIG_INVALID', message, { cause });
}

/** The message of an error, cut: parsers add an excerpt of the file, which may hold a token. */
export function firstLine(error: unknown): string {
  const message = isRecord(error) ? String(error.message) : String(error);
  return message.trim().split('\n', 1)[0] ?? '';
}
