import type { ErrorCode, Fault } from '../core/errors.ts';
import { jsonPath } from '../core/json-path.ts';

export function configFault(
  code: Extract<ErrorCode, `CONFIG_${string}`>,
  path: readonly PropertyKey[],
  message: string,
): Fault {
  return { code, path: jsonPath(path), message };
}
