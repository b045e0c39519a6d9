// What people see: print(), String(x), template strings and util.inspect, and what operators on arrays say.
import { inspect } from 'node:util';
import { afterEach, beforeEach, describe, expect, type MockInstance, test, vi } from 'vitest';
import { nd } from 'webgluon';
import { eachDevice } from './devices.ts';

let log: MockInstance<typeof console.log>;
beforeEach(() => {
  log = vi.spyOn(console, 'log').mockImplementation(() => undefined);
});
afterEach(() => log.mockRestore());
const printed = (): unknown[] => log.mock.calls.map(([text]) => text as unknown);

// as Gluon printed it in its own documentation
const WEIGHT = [
  [0.01587485, 0.03087313],
  [0.02257253, -0.02103142],
  [0.06961896, 0.01239835],
];
const TEXT = `
[[ 0.01587485  0.03087313]
 [ 0.02257253 -0.02103142]
 [ 0.06961896  0.01239835]]
<NDArray 3x2 @cpu(0)>`;

eachDevice((ctx) => {
  const here = (text: string): string => text.replace('cpu(0)', String(ctx));

  test('print shows any array whole', async () => {
    await nd.array(WEIGHT, { ctx }).print();
    await nd.array([1, 2, 3], { ctx, dtype: 'int32' }).print();
    await nd.array([[true, false]], { ctx, dtype: 'bool' }).print();
    await nd.zeros([0, 3], { ctx }).print();
    await nd.array([NaN, Infinity, 1], { ctx }).print();
    expect(printed()).toEqual([
      here(TEXT),
      here('\n[1 2 3]\n<NDArray 3 @cpu(0)>'),
      here('\n[[ True False]]\n<NDArray 1x2 @cpu(0)>'),
      here('\n[]\n<NDArray 0x3 @cpu(0)>'),
      here('\n[nan inf  1.]\n<NDArray 3 @cpu(0)>'),
    ]);
  });

  test('calls print in their order, with the values as they are at the call', async () => {
    const x = nd.zeros([2], { ctx });
    const waiting = [x.print()];
    x.iadd(1);
    waiting.push(x.print());
    x.dispose();
    await Promise.all(waiting);
    expect(printed()).toEqual([
      here('\n[0. 0.]\n<NDArray 2 @cpu(0)>'),
      here('\n[1. 1.]\n<NDArray 2 @cpu(0)>'),
    ]);
  });

  test('String, template strings and inspect agree', () => {
    const x = nd.array(WEIGHT, { ctx });
    // a GPU's values must be awaited: its header only
    const expected = ctx.deviceType === 'cpu' ? TEXT : '<NDArray 3x2 @gpu(0)>';
    expect(String(x)).toBe(expected);
    expect(`${x}`).toBe(expected);
    expect(x.toString()).toBe(expected);
    expect(inspect(x)).toBe(expected);
    expect(inspect({ x })).toContain('<NDArray 3x2');
  });

  test('a disposed array still has a text', async () => {
    const x = nd.array([1], { ctx });
    x.dispose();
    expect(String(x)).toBe(`<NDArray 1 @${ctx}, disposed>`);
    await expect(x.print()).rejects.toThrow(/\[print\] expected an array in use/);
  });

  test('operators name the method', () => {
    const x = nd.array([1], { ctx }) as unknown as number;
    expect(() => x + 1).toThrow(/a\.add\(b\)/);
    expect(() => x > 1).toThrow(/a\.greater\(b\)/);
    expect(() => -x).toThrow(/a\.neg\(\)/);
    expect(() => x * 2).toThrow(/a\.mul\(b\)/);
  });
});

describe('on the CPU', () => {
  test('the text is out before print returns', async () => {
    const done = nd.array([1, 2]).print();
    expect(printed()).toEqual(['\n[1. 2.]\n<NDArray 2 @cpu(0)>']);
    await done;
  });

  test('without axes, many elements, wide rows', async () => {
    await nd.ones([]).print();
    await nd.arange(1001).print();
    await nd.arange(30).print();
    expect(printed()).toEqual([
      '\n1.0\n<NDArray  @cpu(0)>',
      '\n[   0.    1.    2. ...  998.  999. 1000.]\n<NDArray 1001 @cpu(0)>',
      '\n[ 0.  1.  2.  3.  4.  5.  6.  7.  8.  9. 10. 11. 12. 13. 14. 15. 16. 17.\n 18. 19. 20. 21. 22. 23. 24. 25. 26. 27. 28. 29.]\n<NDArray 30 @cpu(0)>',
    ]);
  });
});
