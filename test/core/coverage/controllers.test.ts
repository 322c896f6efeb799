import { describe, expect, it } from '@jest/globals';
import { controllerOf } from '../../../src/core/controller.ts';
import { type Controlled, Controllers } from '../../../src/core/coverage/controllers.ts';

function object(kind: string, name: string, above?: readonly [string, string]): Controlled {
  const controller = above && { kind: above[0], name: above[1] };
  return { namespace: 'sdr', kind, name, controller };
}

function topOf(known: readonly Controlled[], of: Controlled): string {
  const controllers = new Controllers();
  for (const each of known) controllers.add(each);
  const { kind, name } = controllers.topOf(of);
  return `${kind}/${name}`;
}

const POD = object('Pod', 'p', ['ReplicaSet', 'rs']);
const REPLICA_SET = object('ReplicaSet', 'rs', ['Deployment', 'd']);
const DEPLOYMENT = object('Deployment', 'd');

describe('Controllers', () => {
  it('goes up as far as objects were read', () => {
    expect(topOf([REPLICA_SET, DEPLOYMENT], POD)).toBe('Deployment/d');
    expect(topOf([REPLICA_SET], POD)).toBe('ReplicaSet/rs');
    expect(topOf([DEPLOYMENT], POD)).toBe('Pod/p');
  });

  it('keeps namespaces apart', () => {
    expect(topOf([{ ...REPLICA_SET, namespace: 'other' }], POD)).toBe('Pod/p');
  });

  it('comes to an end where objects control one another', () => {
    const circle = [object('A', 'a', ['B', 'b']), object('B', 'b', ['A', 'a'])];
    expect(topOf(circle, object('Pod', 'p', ['A', 'a']))).toBe('B/b');
  });
});

describe('controllerOf', () => {
  it('takes the owner that controls, not any owner', () => {
    const ownerReferences = [
      { kind: 'ConfigMap', name: 'c' },
      { kind: 'ReplicaSet', name: 'rs', controller: true },
    ];
    expect(controllerOf({ ownerReferences })).toEqual({ kind: 'ReplicaSet', name: 'rs' });
  });

  it.each([
    [undefined],
    [{ ownerReferences: 'text' }],
    [{ ownerReferences: [null, { kind: 'X', name: 'x' }] }],
    [{ ownerReferences: [{ kind: 'X', name: '', controller: true }] }],
  ])('finds none in %j', (metadata) => {
    expect(controllerOf(metadata)).toBeUndefined();
  });
});
