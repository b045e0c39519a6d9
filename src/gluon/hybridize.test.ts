// `hybridize()` as in a bundle that names nothing of what compiles: what is imported here brings no compiler along, so a net asks for it and runs as ever until it is there.
import { beforeEach, expect, test, vi } from 'vitest';

/** The library's parts that such a page has, run anew. */
async function page() {
  const [nd, { record }, { Sequential }, { Dense }, loss, random, { Trainer }] = await Promise.all([
    import('../nd/index.ts'),
    import('../autograd/api.ts'),
    import('./nn/sequential.ts'),
    import('./nn/dense.ts'),
    import('./loss/index.ts'),
    import('../nd/random.ts'),
    import('./trainer.ts'),
  ]);
  random.seed(3);
  const net = new Sequential({ prefix: 'mlp_' });
  net.add(new Dense(4, { activation: 'relu' }), new Dense(2));
  net.initialize();
  const x = nd.array([
    [1, -2, 3],
    [0.5, 4, -1],
  ]);
  const trainer = new Trainer(net.collectParams(), 'sgd', { learningRate: 0.1 });
  const lossFn = new loss.L2Loss();
  /** One step of training; its loss. */
  const step = async () => {
    const value = record(() => lossFn(net(x), nd.zeros([2, 2])));
    value.backward();
    trainer.step(2);
    return [...(await value.data())];
  };
  return { net, x, step };
}

beforeEach(() => {
  vi.resetModules();
  vi.doUnmock('./compiled/lateCompiler.ts');
});

test('calls run eagerly until the compiler is there, then compiled, with the same numbers', async () => {
  const eager = await page();
  const losses = [await eager.step(), await eager.step(), await eager.step(), await eager.step()];
  const values = await eager.net(eager.x).data();
  vi.resetModules();

  const { net, x, step } = await page();
  net.hybridize();
  expect(net.cacheInfo()).toEqual({
    hits: 0,
    misses: 0,
    entries: [],
    why: null,
    eager: 'the compiler is being loaded',
  });
  expect(() => net.graph([2, 3])).toThrow(/^\[Sequential\.graph\] expected the compiler, .*net\.warmup/);
  const before = [await step()];
  await net.warmup([[2, 3]], { training: true });
  const { eager: reason, entries } = net.cacheInfo();
  expect(reason).toBeNull();
  expect(entries.length).toBeGreaterThan(1);
  expect([...before, await step(), await step(), await step()]).toEqual(losses);
  expect(net.cacheInfo().hits).toBe(3);
  expect(await net(x).data()).toEqual(values);
  expect(net.graph([2, 3])).toContain('After fusion: 2 kernels');
  net.hybridize(false);
  expect(net.cacheInfo().eager).toBe('hybridize() was not called');
  net.hybridize();
  net(x);
  net(x);
  expect(net.cacheInfo()).toMatchObject({ hits: 1, misses: 1, eager: null });
});

test('what was taken back before the compiler came stays eager', async () => {
  const { net, x } = await page();
  net.hybridize();
  net.hybridize(false);
  const { compiler } = await import('./compiled/lateCompiler.ts');
  expect(compiler).toBeDefined();
  net(x);
  expect(net.cacheInfo()).toMatchObject({ misses: 0, eager: 'hybridize() was not called' });
  await expect(net.warmup([[2, 3]])).rejects.toThrow(/hybridized/);
});

test('a compiler that cannot be loaded is told of once; the page goes on eagerly and may try again', async () => {
  const warn = vi.spyOn(console, 'warn').mockImplementation(() => undefined);
  vi.doMock('./compiled/lateCompiler.ts', () => {
    throw new Error('no network');
  });
  const { net, x, step } = await page();
  net.hybridize();
  net[0].hybridize();
  await net.warmup([[2, 3]]);
  await vi.waitFor(() => expect(warn).toHaveBeenCalled());
  expect(warn.mock.calls.flat().join()).toMatch(
    /^\[hybridize\] expected to load the compiler, received .*Calls run eagerly/,
  );
  const [first] = await step();
  expect(first).toBeGreaterThan(0);
  expect(net(x).shape).toEqual([2, 2]);
  expect(warn).toHaveBeenCalledTimes(1);
  vi.doUnmock('./compiled/lateCompiler.ts');
  net.hybridize();
  await net.warmup([[2, 3]]);
  expect(net.cacheInfo()).toMatchObject({ eager: null });
  warn.mockRestore();
});
