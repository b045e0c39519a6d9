// Compiled nets and steps in a real page: the eager numbers on both devices, and what a replay costs there, seen from outside by counting WebGPU's own calls. Times depend on the
// machine: they are printed, and held to bounds that only something broken exceeds.
import { expect, type Page, test } from '@playwright/test';

/** Where the page counts WebGPU's calls. */
type Counted = { gpuCalls: Record<string, number> };

/** Opens the bare page with WebGPU's calls counted, and gives what goes wrong in it. */
async function open(page: Page): Promise<string[]> {
  const wrong: string[] = [];
  page.on('pageerror', (error) => wrong.push(error.message));
  page.on('console', (message) => {
    if (message.type() === 'error' || message.type() === 'warning') wrong.push(message.text());
  });
  await page.addInitScript(() => {
    const calls: Record<string, number> = {};
    (globalThis as unknown as Counted).gpuCalls = calls;
    const count = (owner: object, name: string): void => {
      const own = (owner as Record<string, (...args: unknown[]) => unknown>)[name];
      if (own === undefined) throw new Error(`no ${name} to count`);
      calls[name] = 0;
      Object.defineProperty(owner, name, {
        configurable: true,
        writable: true,
        value(this: unknown, ...args: unknown[]) {
          calls[name] = (calls[name] ?? 0) + 1;
          return own.apply(this, args);
        },
      });
    };
    for (const name of ['createBuffer', 'createBindGroup', 'createComputePipeline', 'createShaderModule'])
      count(GPUDevice.prototype, name);
    count(GPUDevice.prototype, 'createComputePipelineAsync');
    count(GPUComputePassEncoder.prototype, 'dispatchWorkgroups');
    count(GPUQueue.prototype, 'submit');
  });
  await page.goto('/e2e/pages/bare.html');
  await expect(page.locator('#worker')).toHaveAttribute('data-done', 'true');
  return wrong;
}

for (const device of ['cpu', 'gpu'] as const) {
  const tolerance = device === 'cpu' ? 1e-6 : 1e-4;

  test(`LeNet, hybridized and as a compiled step, is the eager one on the ${device}`, async ({ page }) => {
    const wrong = await open(page);
    const found = await page.evaluate(async (kind) => {
      // in a variable: the library is served, not part of this file's compilation
      const library = '/dist/webgluon.js';
      const { nd, nn, gluon, autograd, random, metric, cpu, openGpu } = (await import(
        library
      )) as typeof import('webgluon');
      const ctx = kind === 'cpu' ? cpu() : await openGpu({ allowSoftware: true });
      type Array = ReturnType<typeof nd.ones>;
      const lenet = (): InstanceType<typeof nn.HybridSequential> => {
        const net = new nn.HybridSequential();
        net.add(
          new nn.Conv2D(6, 5, { activation: 'relu' }),
          new nn.MaxPool2D(2, 2),
          new nn.Conv2D(16, 3, { activation: 'relu' }),
          new nn.MaxPool2D(2, 2),
          new nn.Dense(120, { activation: 'relu' }),
          new nn.Dense(84, { activation: 'relu' }),
          new nn.Dense(10),
        );
        random.seed(7);
        net.initialize('xavier', { ctx });
        net(nd.ones([1, 1, 28, 28], { ctx })).dispose();
        return net;
      };
      const picture = (batch: number): Array => nd.random.uniform(0, 1, [batch, 1, 28, 28], { ctx });
      const values = async (x: Array): Promise<number[]> => [...(await x.data())];
      const [eager, hybrid] = [lenet(), lenet()];
      hybrid.hybridize({ staticAlloc: true, staticShape: true });
      await hybrid.warmup([[1, 1, 28, 28]]);
      const forward: { readonly own: number[]; readonly eager: number[] }[] = [];
      const kept: Array[] = [];
      for (const batch of [1, 1, 3, 1]) {
        const x = picture(batch);
        const y = hybrid(x);
        kept.push(y);
        const expected = await values(eager(x));
        x.dispose();
        forward.push({ own: await values(y), eager: expected });
      }
      // results are the caller's: later calls leave them alone
      const later = await Promise.all(kept.map(values));
      const overwritten = later.some((y, i) => y.join() !== forward[i]?.own.join());
      const { hits, misses } = hybrid.cacheInfo();

      const lossFn = new gluon.loss.SoftmaxCrossEntropyLoss();
      const train = async (net: typeof eager, compiled: boolean): Promise<number[]> => {
        const trainer = new gluon.Trainer(net.collectParams(), 'sgd', { learningRate: 0.05, momentum: 0.9 });
        const mean = new metric.Loss();
        const plain = (x: Array, y: Array): Array => {
          const loss = autograd.record(() => lossFn(net(x), y));
          loss.backward();
          trainer.step(x.shape[0]);
          mean.update(null, loss);
          return loss;
        };
        const step = compiled ? gluon.compileStep(plain) : plain;
        random.seed(11);
        const losses: number[] = [];
        const x = picture(3);
        const y = nd.array([2, 5, 7], { ctx, dtype: 'int32' });
        for (let i = 0; i < 6; i++) losses.push(...(await values(step(x, y))));
        const [, value] = await mean.get();
        return [...losses, value as number];
      };
      const steps = { own: await train(hybrid, true), eager: await train(eager, false) };
      return { forward, overwritten, hits, misses, steps };
    }, device);
    for (const { own, eager } of [...found.forward, found.steps]) {
      expect(own).toHaveLength(eager.length);
      for (const [i, value] of eager.entries())
        expect(Math.abs((own[i] as number) - value)).toBeLessThan(tolerance * (1 + Math.abs(value)));
    }
    // the six losses of three pictures went down, so there was something to compare
    expect(found.steps.eager).toHaveLength(19);
    const mean = (step: number): number =>
      found.steps.eager.slice(3 * step, 3 * step + 3).reduce((sum, loss) => sum + loss / 3, 0);
    expect(mean(5)).toBeLessThan(mean(0) - 0.01);
    // warmed for one picture; three of them are another program
    expect(found).toMatchObject({ overwritten: false, hits: 3, misses: 1 });
    expect(wrong).toEqual([]);
  });
}

test('a replay on the GPU is a few dispatches and one submit, makes nothing, and is quick to encode', async ({
  page,
}) => {
  const wrong = await open(page);
  const found = await page.evaluate(async () => {
    const library = '/dist/webgluon.js';
    const { nd, nn, gluon, autograd, openGpu } = (await import(library)) as typeof import('webgluon');
    const ctx = await openGpu({ allowSoftware: true });
    const calls = (globalThis as unknown as Counted).gpuCalls;
    const net = new nn.HybridSequential();
    net.add(
      new nn.Conv2D(6, 5, { activation: 'relu' }),
      new nn.MaxPool2D(2, 2),
      new nn.Conv2D(16, 3, { activation: 'relu' }),
      new nn.MaxPool2D(2, 2),
      new nn.Dense(120, { activation: 'relu' }),
      new nn.Dense(84, { activation: 'relu' }),
      new nn.Dense(10),
    );
    net.initialize('xavier', { ctx });
    net.hybridize();
    const lossFn = new gluon.loss.SoftmaxCrossEntropyLoss();
    const trainer = new gluon.Trainer(net.collectParams(), 'sgd', { learningRate: 0.01, momentum: 0.9 });
    const step = gluon.compileStep((x: ReturnType<typeof nd.ones>, y: ReturnType<typeof nd.ones>) => {
      const loss = autograd.record(() => lossFn(net(x), y));
      loss.backward();
      trainer.step(x.shape[0]);
      return loss;
    });
    const x = nd.random.uniform(0, 1, [2, 1, 28, 28], { ctx });
    const y = nd.array([3, 4], { ctx, dtype: 'int32' });
    const forward = (): void => net(x).dispose();
    const learn = (): void => step(x, y).dispose();
    const turn = (): Promise<void> => new Promise((resolve) => setTimeout(resolve));
    const counted = async (run: () => void): Promise<Record<string, number>> => {
      for (let i = 0; i < 6; i++) {
        run();
        await nd.waitall();
      }
      const before = { ...calls };
      const times = 4;
      for (let i = 0; i < times; i++) {
        run();
        // what is encoded is submitted at the latest when the turn ends
        await turn();
      }
      const after = Object.entries(calls).map(([name, n]) => [name, (n - (before[name] ?? 0)) / times]);
      await nd.waitall();
      return Object.fromEntries(after);
    };
    const counts = { forward: await counted(forward), step: await counted(learn) };

    // the calls of one step, to make them again in a bare loop
    type Call = (pass: GPUComputePassEncoder) => void;
    const bare: Call[] = [];
    const prototype = GPUComputePassEncoder.prototype;
    type Method = (this: GPUComputePassEncoder, ...args: unknown[]) => undefined;
    const listened = (['setPipeline', 'setBindGroup', 'dispatchWorkgroups'] as const).map((name) => {
      const own = prototype[name] as unknown as Method;
      const listener: Method = function (...args) {
        const copies = args.map((arg) => (ArrayBuffer.isView(arg) ? structuredClone(arg) : arg));
        bare.push((pass) => own.apply(pass, copies));
        return own.apply(this, args);
      };
      Object.defineProperty(prototype, name, { configurable: true, writable: true, value: listener });
      return { name, own };
    });
    let gpu: GPUDevice | undefined;
    const { submit } = GPUQueue.prototype;
    const { createCommandEncoder } = GPUDevice.prototype;
    GPUDevice.prototype.createCommandEncoder = function (...args): GPUCommandEncoder {
      gpu = this;
      return createCommandEncoder.apply(this, args);
    };
    learn();
    await turn();
    for (const { name, own } of listened)
      Object.defineProperty(prototype, name, { configurable: true, writable: true, value: own });
    GPUDevice.prototype.createCommandEncoder = createCommandEncoder;
    await nd.waitall();
    const loop = (): void => {
      if (gpu === undefined) throw new Error('the step made no command encoder');
      const encoder = gpu.createCommandEncoder();
      const pass = encoder.beginComputePass();
      for (const call of bare) call(pass);
      pass.end();
      submit.call(gpu.queue, [encoder.finish()]);
    };
    // The clock has steps of 5 µs, and the software adapter works on the same processors: the mean of the middle half, in microseconds.
    const usual = async (run: () => void): Promise<number> => {
      const times: number[] = [];
      for (let round = 0; round < 80; round++) {
        const from = performance.now();
        run();
        times.push((performance.now() - from) * 1000);
        await turn();
        if (round % 8 === 7) await nd.waitall();
      }
      times.sort((one, other) => one - other);
      return times.slice(20, 60).reduce((sum, t) => sum + t / 40, 0);
    };
    // a forward of as many dispatches, without a step's work on the host
    const deep = new nn.HybridSequential();
    for (let i = 0; i < 24; i++) deep.add(new nn.Dense(8, { activation: 'relu', inUnits: 8 }));
    deep.initialize('xavier', { ctx });
    deep.hybridize({ staticAlloc: true });
    const small = nd.ones([2, 8], { ctx });
    const through = (): void => deep(small).dispose();
    const layers = (await counted(through))['dispatchWorkgroups'] ?? 0;
    const dispatches = counts.step['dispatchWorkgroups'] ?? 0;
    return {
      counts,
      bareCalls: bare.length,
      layers,
      forward: (await usual(through)) / layers,
      own: (await usual(learn)) / dispatches,
      bare: (await usual(loop)) / dispatches,
    };
  });
  const { forward, step } = found.counts;
  console.log(
    `JavaScript per replayed dispatch: ${found.forward.toFixed(2)} µs in a forward of ${found.layers}, ${found.own.toFixed(2)} µs in a whole step of ` +
      `${step?.['dispatchWorkgroups']}, ${found.bare.toFixed(2)} µs in a bare loop over the step's ${found.bareCalls} calls`,
  );
  const nothing = {
    createBuffer: 0,
    createBindGroup: 0,
    createComputePipeline: 0,
    createComputePipelineAsync: 0,
    createShaderModule: 0,
  };
  expect(forward).toMatchObject({ ...nothing, submit: 1 });
  expect(step).toMatchObject({ ...nothing, submit: 1 });
  expect(forward?.['dispatchWorkgroups']).toBeGreaterThan(3);
  expect(forward?.['dispatchWorkgroups']).toBeLessThanOrEqual(7);
  expect(step?.['dispatchWorkgroups']).toBeGreaterThan(10);
  expect(step?.['dispatchWorkgroups']).toBeLessThanOrEqual(24);
  expect(found.layers).toBe(24);
  // a bind group and a call for each dispatch at least
  expect(found.bareCalls).toBeGreaterThan(2 * 10);
  expect(found.forward).toBeLessThan(15);
  expect(found.own).toBeLessThan(25);
  expect(wrong).toEqual([]);
});

test('LeNet of one picture on the CPU takes a fraction of a millisecond', async ({ page }) => {
  const wrong = await open(page);
  const { median, eager } = await page.evaluate(async () => {
    const library = '/dist/webgluon.js';
    const { nd, nn } = (await import(library)) as typeof import('webgluon');
    const net = new nn.HybridSequential();
    net.add(
      new nn.Conv2D(6, 5, { activation: 'relu' }),
      new nn.MaxPool2D(2, 2),
      new nn.Conv2D(16, 3, { activation: 'relu' }),
      new nn.MaxPool2D(2, 2),
      new nn.Dense(120, { activation: 'relu' }),
      new nn.Dense(84, { activation: 'relu' }),
      new nn.Dense(10),
    );
    net.initialize('xavier');
    const x = nd.random.uniform(0, 1, [1, 1, 28, 28]);
    // a page's clock is coarse: ten calls at a time
    const time = (): number => {
      const times: number[] = [];
      for (let round = 0; round < 150; round++) {
        const from = performance.now();
        for (let i = 0; i < 10; i++) net(x).dispose();
        times.push((performance.now() - from) * 100);
      }
      times.sort((a, b) => a - b);
      return times[times.length >> 1] as number;
    };
    const before = time();
    net.hybridize({ staticAlloc: true });
    net(x).dispose();
    return { median: time(), eager: before };
  });
  console.log(
    `LeNet of one picture on the CPU: ${median.toFixed(0)} µs hybridized, ${eager.toFixed(0)} µs eager`,
  );
  expect(median).toBeLessThan(1000);
  expect(median).toBeLessThan(eager);
  expect(wrong).toEqual([]);
});
