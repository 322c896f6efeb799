import { posix } from 'node:path';
import ts from 'typescript';

export interface ModuleImport {
  readonly specifier: string;
  /** `import type …`: nothing of it is left at run time. */
  readonly isTypeOnly: boolean;
}

/** All that a module imports, in whatever way; comments and strings do not count. */
export function importsOf(text: string): ModuleImport[] {
  const imports: ModuleImport[] = [];
  visit(text, (node) => {
    if (ts.isImportDeclaration(node) && ts.isStringLiteral(node.moduleSpecifier)) {
      const isTypeOnly = node.importClause?.phaseModifier === ts.SyntaxKind.TypeKeyword;
      imports.push({ specifier: node.moduleSpecifier.text, isTypeOnly });
    } else if (
      ts.isExportDeclaration(node) &&
      node.moduleSpecifier !== undefined &&
      ts.isStringLiteral(node.moduleSpecifier)
    ) {
      imports.push({ specifier: node.moduleSpecifier.text, isTypeOnly: node.isTypeOnly });
    } else if (ts.isCallExpression(node) && isImportCall(node.expression)) {
      const specifier = node.arguments[0];
      const isLiteral = specifier !== undefined && ts.isStringLiteralLike(specifier);
      imports.push({ specifier: isLiteral ? specifier.text : '(computed)', isTypeOnly: false });
    }
  });
  return imports;
}

/**
 * Follows the imports of a file of the core. Returns the chain to everything that it must not reach:
 * all but the core itself and types of `fast-json-patch`.
 */
export function findBreaches(file: string, read: (path: string) => string): string[] {
  const breaches: string[] = [];
  const seen = new Set<string>();
  const follow = (path: string, chain: readonly string[]): void => {
    if (seen.has(path)) {
      return;
    }
    seen.add(path);
    for (const { specifier, isTypeOnly } of importsOf(read(path))) {
      const target = specifier.startsWith('.')
        ? posix.join(posix.dirname(path), specifier)
        : specifier;
      if (target.startsWith('src/core/')) {
        follow(target, [...chain, target]);
      } else if (!(isTypeOnly && target === 'fast-json-patch')) {
        breaches.push([...chain, target].join(' -> '));
      }
    }
  };
  follow(file, [file]);
  return breaches;
}

const AMBIENT_NAMES = new Set([
  'process',
  'console',
  'Buffer',
  'performance',
  'fetch',
  'globalThis',
  'setTimeout',
  'setInterval',
  'setImmediate',
  'queueMicrotask',
]);
const AMBIENT_MEMBERS = new Set(['Date.now', 'Math.random']);

/** What a module takes from its surroundings without importing it. */
export function ambientUses(text: string): string[] {
  const uses: string[] = [];
  visit(text, (node) => {
    if (ts.isNewExpression(node) && node.expression.getText() === 'Date') {
      uses.push('new Date');
    } else if (ts.isPropertyAccessExpression(node) && AMBIENT_MEMBERS.has(node.getText())) {
      uses.push(node.getText());
    } else if (ts.isIdentifier(node) && AMBIENT_NAMES.has(node.text) && isReading(node)) {
      uses.push(node.text);
    }
  });
  return uses;
}

function isImportCall(callee: ts.Expression): boolean {
  return (
    callee.kind === ts.SyntaxKind.ImportKeyword ||
    (ts.isIdentifier(callee) && callee.text === 'require')
  );
}

/** Whether an identifier is a variable that is read, and no name of a member or property. */
function isReading(node: ts.Identifier): boolean {
  const { parent } = node;
  return !(
    (ts.isPropertyAccessExpression(parent) && parent.name === node) ||
    (ts.isPropertyAssignment(parent) && parent.name === node) ||
    (ts.isBindingElement(parent) && parent.propertyName === node)
  );
}

function visit(text: string, see: (node: ts.Node) => void): void {
  const walk = (node: ts.Node): void => {
    see(node);
    ts.forEachChild(node, walk);
  };
  walk(ts.createSourceFile('module.ts', text, ts.ScriptTarget.ESNext, true));
}
