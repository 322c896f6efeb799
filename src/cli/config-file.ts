import { RewriterError } from '../core/errors.ts';
import { readBytes } from '../files/text-file.ts';
import { decodeUtf8 } from '../manifest/text.ts';

/** Reads a configuration file. Throws `CONFIG_UNREADABLE` and `CONFIG_NOT_TEXT`. */
export async function readConfigFile(path: string): Promise<string> {
  const decoded = decodeUtf8(await readBytes(path, 'the configuration', 'CONFIG_UNREADABLE'));
  if ('text' in decoded) {
    return decoded.text;
  }
  // Read all the same, a name would have other letters than the operator wrote.
  const { line, column } = decoded.fault;
  throw new RewriterError(
    'CONFIG_NOT_TEXT',
    `the configuration ${path} is no UTF-8 text at line ${line}, column ${column}; save it as UTF-8`,
  );
}
