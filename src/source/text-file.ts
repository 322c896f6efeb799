/** Why a file cannot be read. Node.js names the one that cannot be opened, and not the one that is open. */
export function fileFaultText(file: string, error: unknown): string {
  const { code, message, path } = error as NodeJS.ErrnoException;
  if (code === 'EISDIR') {
    return `${file} is a folder, not a file`;
  }
  return path === undefined ? `${message} '${file}'` : message;
}
