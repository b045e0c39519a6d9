// What callers without types write. Whatever is passed to whatever function: a GluonError in the one form, under the name that was called, or a result.
import { describe, expect, test } from 'vitest';
import { ArgumentError, cpu, GluonError, init, nd, nn, ShapeError } from 'webgluon';
import { expectArray } from '../values.ts';

type Anything = (...args: unknown[]) => unknown;

const FORM = /^\[[^\]]+\] expected .+, received .+\. \S/s;
const x = nd.arange(6).reshape([2, 3]);
const gone = x.copy();
gone.dispose();
// what in-place functions may write into
const some = x.copy();
const ODD: readonly unknown[] = [
  ...[undefined, null, 3, -1, 1.5, Number.NaN, 10n, 'a', true, [1, 2], {}, { foo: 1 }, () => 1],
  ...[new Float32Array(2), new Map(), cpu(), gone, some, x.astype('int32'), nd.zeros([]), nd.zeros([0, 3])],
];

/** What is thrown that is no GluonError, or has another form. */
function unexplained(call: () => unknown): string | null {
  try {
    call();
  } catch (error) {
    if (!(error instanceof GluonError)) return String(error);
    if (!FORM.test(error.message)) return error.message;
  }
  return null;
}

function argumentLists(): unknown[][] {
  return [
    [],
    ...ODD.flatMap((odd) => [[odd], [some, odd], [odd, some], [1, odd], [some, 1, odd], [some, some, odd]]),
  ];
}

describe('every function', () => {
  // those that wait reject instead; a scope runs its callback
  const apart = new Set(['load', 'save', 'waitall', 'scope', 'toCpu']);
  const functions = Object.entries(nd).filter(([name, f]) => typeof f === 'function' && !apart.has(name));

  test('of nd explains what it refuses', () => {
    const found: string[] = [];
    for (const [name, f] of functions)
      for (const args of argumentLists()) {
        const problem = unexplained(() => nd.scope(() => (f as Anything)(...args)));
        if (problem !== null) found.push(`${name}: ${problem}`);
      }
    expect(found).toEqual([]);
  });

  test('of nn and init explains what its constructor refuses', () => {
    const found: string[] = [];
    for (const [name, Class] of Object.entries({ ...nn, ...init }))
      for (const args of ODD.flatMap((odd) => [[odd], [2, odd], [2, 2, odd]])) {
        const problem = unexplained(() => String(Reflect.construct(Class, args)));
        if (problem !== null) found.push(`${name}: ${problem}`);
      }
    expect(found).toEqual([]);
  });
});

test('errors name the function that was called, not the record behind it', () => {
  const calls: readonly [string, () => unknown][] = [
    ['add', () => gone.add(1)],
    ['sub', () => gone.rsub(1)],
    ['imul', () => gone.imul(2)],
    ['ones', () => nd.ones([1e6, 1e6])],
    ['zerosLike', () => nd.zerosLike(undefined as never)],
    ['norm', () => x.norm(5)],
    ['argmax', () => gone.argmax()],
    ['cumsum', () => gone.cumsum()],
    ['random.uniform', () => nd.random.uniform(0, 1, [1], { dtype: 'int32' })],
    ['random.shuffle', () => nd.random.shuffle([1, 2] as never)],
  ];
  for (const [op, call] of calls) {
    const error = (() => {
      try {
        return call();
      } catch (thrown) {
        return thrown;
      }
    })();
    expect(error).toBeInstanceOf(GluonError);
    expect((error as GluonError).op).toBe(op);
    expect((error as GluonError).message.startsWith(`[${op}] `)).toBe(true);
  }
});

test('a number where options stand: what else could be named', () => {
  expect(() => new nn.Dense(2, 3 as never)).toThrow(/Dense\] expected options as an object with activation/);
  expect(() => x.sum(0, true as never)).toThrow(/Write \{ keepdims: … \}/);
  expect(() => new nn.Conv2D(6, 5, { kernel_size: 3 } as never)).toThrow(/Did you mean kernelSize\?/);
});

test('JavaScript’s operators throw and name the method', () => {
  const a = x as unknown as number;
  for (const [call, method] of [
    [() => a + 1, /a\.add\(b\)/],
    [() => a > 1, /a\.greater\(b\)/],
    [() => -a, /a\.neg\(\)/],
  ] as const) {
    expect(call).toThrow(ArgumentError);
    expect(call).toThrow(method);
  }
  expect(() => [...nd.zeros([])]).toThrow(ShapeError);
});

describe('positional arguments may be named', () => {
  test('each form gives the same', async () => {
    for (const y of [x.norm(0, { exclude: true }), x.norm({ axis: 0, exclude: true }), x.norm(1)])
      await expectArray(y, [2], [Math.sqrt(5), Math.sqrt(50)].map(Math.fround));
    for (const parts of [
      x.split(3, { axis: 1 }),
      x.split({ n: 3, axis: 1 }),
      x.split({ numOutputs: 3, axis: 1 }),
    ])
      expect(parts.map((part) => [...part.shape])).toEqual([
        [2, 1],
        [2, 1],
        [2, 1],
      ]);
    for (const y of [x.at(':', [2, 0]), x.at(':', Int32Array.of(2, 0))])
      await expectArray(y, [2, 2], [2, 0, 5, 3]);
    const y = x.copy();
    expect(y.set([Int32Array.of(1)], 9)).toBe(y);
    await expectArray(y, [2, 3], [0, 1, 2, 9, 9, 9]);
    expect(() => y.set([0], undefined as never)).toThrow(/\[set\] expected a value/);
    await expectArray(y, [2, 3], [0, 1, 2, 9, 9, 9]);
    const { rndType, factorType, magnitude } = new init.Xavier('gaussian', 'in', 2);
    expect([rndType, factorType, magnitude]).toEqual(['gaussian', 'in', 2]);
  });
});

test('a result survives its scope within any object', async () => {
  class Pair {
    readonly first = x.add(1);
    readonly more = [x.mul(2)];
  }
  const pair = nd.scope(() => new Pair());
  await expectArray(pair.first, [2, 3], [1, 2, 3, 4, 5, 6]);
  expect(pair.more.map((a) => a.isDisposed)).toEqual([false]);
});
