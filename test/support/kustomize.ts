/** An entry of `images` in a kustomization. */
export interface KustomizeEntry {
  readonly name: string;
  readonly newName?: string;
  readonly newTag?: string;
  readonly digest?: string;
}

/** One entry after the other, as kustomize's image transformer applies them. */
export function kustomized(entries: readonly KustomizeEntry[], image: string): string {
  return entries.reduce((text, { name, newName, newTag, digest }) => {
    const pattern = new RegExp(
      `^(${name})(:[a-zA-Z0-9_.{}-]*)?(@[a-zA-Z][a-zA-Z0-9]*:[a-zA-Z0-9_.{}-]*)?$`,
    );
    const match = pattern.exec(text);
    if (match === null) {
      return text;
    }
    const [, oldName = '', oldTag = '', oldDigest = ''] = match;
    const isReplaced = newTag !== undefined || digest !== undefined;
    const tag = newTag === undefined ? '' : `:${newTag}`;
    const pin = digest === undefined ? '' : `@${digest}`;
    return `${newName ?? oldName}${isReplaced ? `${tag}${pin}` : `${oldTag}${oldDigest}`}`;
  }, image);
}
