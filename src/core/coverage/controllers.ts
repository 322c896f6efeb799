import type { Controller } from '../controller.ts';

/** An object that makes pods, or a pod. */
export interface Controlled extends Controller {
  readonly namespace: string | undefined;
  readonly controller: Controller | undefined;
}

/** Which of the objects that were read makes which. */
export class Controllers {
  readonly #above = new Map<string, Controller | undefined>();

  add(object: Controlled): void {
    this.#above.set(keyOf(object.namespace, object), object.controller);
  }

  /** Whether what makes the object was read as well. */
  knowsAbove({ namespace, controller }: Controlled): boolean {
    return controller !== undefined && this.#above.has(keyOf(namespace, controller));
  }

  /** The topmost object that was read on the way up, from the Pod to the Deployment. */
  topOf({ namespace, kind, name, controller }: Controlled): Controller {
    let top: Controller = { kind, name };
    let next = controller;
    const passed = new Set<string>();
    while (next !== undefined) {
      const key = keyOf(namespace, next);
      if (!this.#above.has(key) || passed.has(key)) {
        break;
      }
      passed.add(key);
      top = next;
      next = this.#above.get(key);
    }
    return top;
  }
}

function keyOf(namespace: string | undefined, { kind, name }: Controller): string {
  return `${namespace ?? ''}/${kind}/${name}`;
}
