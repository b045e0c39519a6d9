// nd.save and nd.load: arrays of either device and every dtype, as lists and by names.
import { expect, test } from 'vitest';
import { type DType, FormatError, type NDArray, nd } from 'webgluon';
import { eachDevice, holds } from './devices.ts';
import { expectArray } from './values.ts';

const DTYPES: readonly DType[] = [
  'float32',
  'float16',
  'float64',
  'int32',
  'uint32',
  'int8',
  'uint8',
  'bool',
];

eachDevice((ctx) => {
  test('by names, every dtype, back onto the device', async () => {
    const arrays: Record<string, NDArray> = {};
    for (const dtype of DTYPES.filter((d) => holds(ctx, d)))
      arrays[dtype] = nd.array([[1, 0, 1]], { ctx, dtype });
    const bytes = await nd.save(arrays);
    expect(bytes).toBeInstanceOf(Uint8Array);
    const loaded = (await nd.load(bytes, { ctx })) as Record<string, NDArray>;
    expect(Object.keys(loaded)).toEqual(Object.keys(arrays));
    for (const [name, x] of Object.entries(loaded)) {
      expect([x.dtype, x.context]).toEqual([name, ctx]);
      await expectArray(x, [1, 3], [1, 0, 1]);
    }
  });

  test('a list, a Map, one array', async () => {
    const [a, b] = [nd.array([1, 2], { ctx }), nd.array([[3]], { ctx })];
    const list = (await nd.load(await nd.save([a, b]), { ctx })) as NDArray[];
    expect(list).toHaveLength(2);
    await expectArray(list[1] as NDArray, [1, 1], [3]);
    const named = (await nd.load(await nd.save(new Map([['w', a]])))) as Record<string, NDArray>;
    await expectArray(named['w'] as NDArray, [2], [1, 2]);
    expect(await nd.load(await nd.save(a))).toHaveLength(1);
  });

  test('values are those at the call', async () => {
    const x = nd.zeros([2], { ctx });
    const saving = nd.save([x]);
    x.iadd(1);
    x.dispose();
    const [y] = (await nd.load(await saving, { ctx })) as NDArray[];
    await expectArray(y as NDArray, [2], [0, 0]);
  });
});

test('bytes that are no such file', async () => {
  await expect(nd.load(new Uint8Array([1, 2, 3]))).rejects.toBeInstanceOf(FormatError);
});
