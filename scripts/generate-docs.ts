// Writes the generated parts of the documentation: `npm run docs`.
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { generateDocs, ROOT } from './docs.ts';

for (const [path, content] of await generateDocs()) {
  await writeFile(join(ROOT, path), content);
}
