import { readFile } from 'node:fs/promises';
import { RewriterError } from '../core/errors.ts';
import type { MapSource } from './source.ts';
import { watchFiles } from './watch-file.ts';

/**
 * A source whose URL stands in a file, such as a mounted Secret, since it carries a token. The file is
 * read before each read of the map, so that a renewed token is used at once.
 */
export function createUrlFileSource(path: string, open: (url: string) => MapSource): MapSource {
  let url: string | undefined;
  let source: MapSource | undefined;
  let lastRead: MapSource | undefined;
  const current = async (): Promise<MapSource> => {
    const next = await readUrl(path);
    if (source === undefined || next !== url) {
      source = open(next);
      url = next;
    }
    return source;
  };
  return {
    get location() {
      return source?.location ?? `the URL in ${path}`;
    },
    async prepare() {
      await current();
    },
    async read(request) {
      const place = await current();
      // The etag of another place says nothing about this one.
      const etag = place === lastRead ? request.etag : undefined;
      lastRead = place;
      return place.read({ ...request, etag });
    },
    watch: (onChange) => watchFiles([path], onChange),
  };
}

async function readUrl(path: string): Promise<string> {
  let text: string;
  try {
    text = (await readFile(path, 'utf8')).trim();
  } catch (error) {
    const { message } = error as Error;
    throw new RewriterError('MAP_UNREADABLE', `cannot read imageMap.urlFile: ${message}`, {
      cause: error,
    });
  }
  if (!URL.canParse(text)) {
    // The text itself may be a token.
    throw new RewriterError('MAP_UNREADABLE', `imageMap.urlFile ${path} does not hold one URL`);
  }
  return text;
}
