import { RewriterError } from '../core/errors.ts';
import { isRecord } from '../core/json-value.ts';
import { type ApiReader, messageOf } from './api-reader.ts';

/** Objects on a page: what kubectl asks for. */
const LIMIT = '500';
/** A list that expires this often is written faster than it can be read. */
const MOST_EXPIRIES = 10;

/**
 * Reads a list page by page; each page is a List. Nothing where the kind does not exist. A list that
 * expires while it is read may give objects again. Throws `CLUSTER_FORBIDDEN`, or what `get` throws.
 * https://kubernetes.io/docs/reference/using-api/api-concepts/#retrieving-large-results-sets-in-chunks
 */
export async function* listPages(api: ApiReader, path: string): AsyncGenerator<unknown, void> {
  let token = '';
  let expiries = 0;
  for (;;) {
    const { status, body } = await api.get(path, {
      limit: LIMIT,
      ...(token !== '' && { continue: token }),
    });
    switch (status) {
      case 404:
        return;
      case 403:
        throw new RewriterError('CLUSTER_FORBIDDEN', messageOf(body));
      case 410:
        expiries += 1;
        if (expiries > MOST_EXPIRIES) {
          const message = `the list ${path} expires before it can be read to its end`;
          throw new RewriterError('CLUSTER_READ_FAILED', message);
        }
        // With the token of the refusal the list goes on where it was; without one it begins anew.
        token = tokenOf(body);
        break;
      case 200:
        yield body;
        token = tokenOf(body);
        if (token === '') {
          return;
        }
    }
  }
}

function tokenOf(list: unknown): string {
  const metadata = isRecord(list) && isRecord(list.metadata) ? list.metadata : {};
  return typeof metadata.continue === 'string' ? metadata.continue : '';
}
