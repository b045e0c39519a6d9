// The CPU device where things go wrong in a real browser: policies that forbid workers, workers that do not come, do not answer, stop or die, several pages and
// workers at once, more memory than there is. It ends in one thread and the right numbers, or in an error that says what was asked for; never in a hang.
import { spawn } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { expect, type Page, test } from '@playwright/test';

const LIBRARY = '/dist/webgluon.js';
const PAGE = '/e2e/pages/bare.html';

interface Found {
  /** What setNumThreads gave, and after it was set back to one. */
  readonly inUse: number;
  readonly after: number;
  /** Whether training came to the same weights as on one thread. */
  readonly same: boolean;
  /** Whether no more memory was in use after than before; the page's own array may have been collected. */
  readonly level: boolean;
  readonly ms: number;
}

/** Trains a small net on one thread and on `threads`, in a page. */
const train = (page: Page, threads: number): Promise<Found> =>
  page.evaluate(
    async ([library, n]) => {
      const { autograd, cpu, gluon, memoryInfo, nd, nn, random, setNumThreads } = (await import(
        library
      )) as typeof import('webgluon');
      const weights = async (): Promise<string> => {
        random.seed(5);
        const net = new nn.Sequential();
        net.add(
          new nn.Conv2D(16, 3, { padding: 1, inChannels: 4 }),
          new nn.BatchNorm({ inChannels: 16 }),
          new nn.Activation('relu'),
          new nn.MaxPool2D(2, 2),
          new nn.Dense(40, { activation: 'tanh', inUnits: 16 * 144 }),
          new nn.Dense(10, { inUnits: 40 }),
        );
        net.initialize('xavier');
        const trainer = new gluon.Trainer(net.collectParams(), 'sgd', { learningRate: 0.01 });
        const lossFn = new gluon.loss.SoftmaxCrossEntropyLoss();
        const x = nd.random.uniform(-1, 1, [32, 4, 24, 24]);
        const y = nd.scope(() => nd.arange(32).mod(10));
        for (let step = 0; step < 3; step++) {
          nd.scope(() => {
            autograd.record(() => lossFn(net(x), y)).backward();
            trainer.step(32);
          });
        }
        const found: string[] = [];
        for (const p of net.collectParams().values()) found.push((await p.data().data()).join());
        for (const array of [x, y]) array.dispose();
        net.dispose();
        return found.join();
      };
      const one = await weights();
      await weights();
      const before = memoryInfo(cpu()).bytesInUse;
      const begin = performance.now();
      const inUse = await setNumThreads(n);
      const same = (await weights()) === one && (await weights()) === one;
      const ms = performance.now() - begin;
      const level = memoryInfo(cpu()).bytesInUse <= before;
      return { inUse, same, level, ms, after: await setNumThreads(1) };
    },
    [LIBRARY, threads] as const,
  );

/** Opens the page with a content-security policy of its own. */
async function withPolicy(page: Page, policy: string): Promise<void> {
  await page.route('**/bare.html', async (route) => {
    const response = await route.fetch();
    await route.fulfill({ response, headers: { ...response.headers(), 'content-security-policy': policy } });
  });
  await page.goto(PAGE);
}

const WASM = "script-src 'self' 'wasm-unsafe-eval'";

test.describe('training on threads comes to the weights of one thread', () => {
  for (const threads of [2, 4])
    test(`on ${threads}`, async ({ page }) => {
      await page.goto(PAGE);
      expect(await train(page, threads)).toMatchObject({ inUse: threads, same: true, level: true, after: 1 });
    });

  test('in a page that is not isolated there is one', async ({ page }) => {
    await page.goto(`/plain${PAGE}`);
    expect(await page.evaluate(() => typeof SharedArrayBuffer)).toBe('undefined');
    expect(await train(page, 2)).toMatchObject({ inUse: 1, same: true, level: true, after: 1 });
  });

  test('in a page that is isolated without require-corp: credentialless', async ({ page }) => {
    await page.route('**/bare.html', async (route) => {
      const response = await route.fetch();
      const headers = { ...response.headers(), 'cross-origin-embedder-policy': 'credentialless' };
      await route.fulfill({ response, headers });
    });
    await page.goto(PAGE);
    expect(await train(page, 2)).toMatchObject({ inUse: 2, same: true, level: true, after: 1 });
  });
});

test.describe('workers that cannot be had', () => {
  test('a policy that forbids them all', async ({ page }) => {
    await withPolicy(page, `${WASM}; worker-src 'none'`);
    expect(await train(page, 2)).toMatchObject({ inUse: 1, same: true, level: true, after: 1 });
  });

  test('a policy that forbids blobs, and no file', async ({ page }) => {
    await page.route('**/worker.js', (route) => route.fulfill({ status: 404, body: 'not found' }));
    await withPolicy(page, `${WASM}; worker-src 'self'`);
    expect(await train(page, 2)).toMatchObject({ inUse: 1, same: true, level: true, after: 1 });
  });

  test('no file, but blobs', async ({ page }) => {
    await page.route('**/worker.js', (route) => route.fulfill({ status: 404, body: 'not found' }));
    await page.goto(PAGE);
    expect(await train(page, 2)).toMatchObject({ inUse: 2, same: true, level: true, after: 1 });
  });

  test('a server that answers with its page in place of the file', async ({ page }) => {
    await page.route('**/worker.js', (route) =>
      route.fulfill({ body: '<!doctype html><title>page</title>', contentType: 'text/html' }),
    );
    await page.goto(PAGE);
    expect(await train(page, 2)).toMatchObject({ inUse: 2, same: true, level: true, after: 1 });
  });

  test('the part for threads does not arrive', async ({ page }) => {
    await page.route('**/threads*.js', (route) => route.abort());
    await page.goto(PAGE);
    expect(await train(page, 2)).toMatchObject({ inUse: 1, same: true, level: true, after: 1 });
  });
});

/** A worker's file that behaves until its first tile; `then` runs with that tile claimed and not done. */
const faulty = (then: string): string => `
  onmessage = ({ data: start }) => {
    const cell = new Int32Array(start.memory.buffer, start.cells, 16);
    postMessage('ready');
    for (;;) {
      const claim = Atomics.load(cell, 0);
      if ((claim & 0xffff) < claim >>> 16 && Atomics.compareExchange(cell, 0, claim, claim + 1) === claim) break;
    }
    ${then}
  };`;

test.describe('workers that fail', () => {
  for (const [name, body, least, most] of [
    ['stops over a tile', faulty('for (;;);'), 1000, 8000],
    ['dies over a tile', faulty('close();'), 1000, 8000],
    ['throws over a tile', faulty('throw new Error("a fault");'), 1000, 8000],
    // another is started from a blob when the first has not answered for five seconds
    ['never answers', '', 5000, 14_000],
  ] as const)
    test(`one that ${name}`, async ({ page }) => {
      await page.route('**/worker.js', (route) =>
        route.fulfill({
          body,
          contentType: 'text/javascript',
          headers: { 'cross-origin-embedder-policy': 'require-corp' },
        }),
      );
      await page.goto(PAGE);
      const found = await train(page, 2);
      expect(found).toMatchObject({ inUse: 2, same: true, after: 1 });
      expect(found.ms).toBeGreaterThan(least);
      expect(found.ms).toBeLessThan(most);
    });
});

test('a module worker of the page has threads of its own, where there are any', async ({ page }) => {
  for (const [path, threads] of [
    [PAGE, 2],
    [`/csp${PAGE}`, 2],
    [`/plain${PAGE}`, 1],
  ] as const) {
    await page.goto(path);
    const found = await page.evaluate(
      (url) =>
        Promise.all(
          // two of them at once, and each with threads
          [2, 2].map(
            (n) =>
              new Promise((resolve, reject) => {
                const worker = new Worker(url, { type: 'module' });
                worker.onmessage = ({ data }) => resolve(data);
                worker.onerror = ({ message }) => reject(new Error(message || 'the worker failed'));
                worker.postMessage(n);
              }),
          ),
        ),
      path.replace('bare.html', 'threads-worker.js'),
    );
    const each = { inUse: threads, same: true, after: 1 };
    expect(found, path).toEqual([each, each]);
  }
});

test('two pages at once', async ({ page, context }) => {
  const other = await context.newPage();
  for (const one of [page, other]) await one.goto(PAGE);
  const found = await Promise.all([train(page, 2), train(other, 4)]);
  expect(found).toMatchObject([
    { inUse: 2, same: true, level: true, after: 1 },
    { inUse: 4, same: true, level: true, after: 1 },
  ]);
});

test('more memory than there is: the error names the request, and all goes on', async ({ page }) => {
  // a browser that gives 256 MiB, so that filling it takes no time
  await page.addInitScript(() => {
    const { Memory } = WebAssembly;
    WebAssembly.Memory = class extends Memory {
      constructor(descriptor: WebAssembly.MemoryDescriptor) {
        super({ ...descriptor, maximum: 4096 });
      }
    };
  });
  await page.goto(PAGE);
  const found = await page.evaluate(async (library) => {
    const { cpu, memoryInfo, nd, OutOfMemoryError } = (await import(library)) as typeof import('webgluon');
    const x = nd.ones([1000]);
    const before = memoryInfo(cpu()).bytesInUse;
    const messages: string[] = [];
    const refused = (call: () => unknown): void => {
      try {
        call();
        messages.push('no error');
      } catch (error) {
        messages.push(error instanceof OutOfMemoryError ? error.message : String(error));
      }
    };
    refused(() => nd.zeros([2 ** 30]));
    const held: { dispose(): void }[] = [];
    refused(() => {
      for (;;) held.push(nd.zeros([2 ** 22]));
    });
    const many = held.length;
    for (const array of held) array.dispose();
    const after = memoryInfo(cpu()).bytesInUse;
    return { messages, level: after <= before, many, sum: await x.add(1).sum().asscalar() };
  }, LIBRARY);
  expect(found.messages[0]).toMatch(
    /^\[zeros\] expected 4294967296 bytes of CPU memory, received none: \d+ bytes in \d arrays are in use/,
  );
  expect(found.messages[1]).toMatch(/^\[zeros\] expected 16777216 bytes of CPU memory/);
  expect(found.many).toBeGreaterThan(10);
  expect(found).toMatchObject({ level: true, sum: 2000 });
});

test.describe('Node', () => {
  /** Runs a module that finds the built library as `library`; resolves to what it wrote. */
  async function node(text: string): Promise<string> {
    const library = new URL('../dist/webgluon.js', import.meta.url).href;
    const script = `const library = ${JSON.stringify(library)};\n${text}`;
    const child = spawn(process.execPath, ['--input-type=module', '-e', script], {
      cwd: fileURLToPath(new URL('..', import.meta.url)),
      timeout: 30_000,
    });
    let output = '';
    for (const stream of [child.stdout, child.stderr])
      stream.on('data', (chunk) => {
        output += String(chunk);
      });
    const code = await new Promise((resolve) => child.on('close', resolve));
    return `${output.trim()} (${code})`;
  }

  const PRODUCT = `
    const { nd, setNumThreads } = await import(library);
    nd.random.seed(3);
    const [a, b] = [nd.random.uniform(-1, 1, [300, 260]), nd.random.uniform(-1, 1, [260, 310])];
    const product = async () => (await nd.dot(a, b).data()).join();
    const one = await product();
    const inUse = await setNumThreads(2);
    const same = (await product()) === one && (await product()) === one;`;

  test('a process with threads ends by itself', async () => {
    expect(await node(`${PRODUCT} process.stdout.write(inUse + ' ' + same);`)).toBe('2 true (0)');
  });

  test('two worker threads, each with threads of its own', async () => {
    const text = `
      import { Worker } from 'node:worker_threads';
      const body = ${JSON.stringify(`
        import { parentPort, workerData } from 'node:worker_threads';
        const library = workerData;
        ${PRODUCT}
        parentPort.postMessage(inUse + ' ' + same + ' ' + await setNumThreads(1));`)};
      const url = new URL('data:text/javascript,' + encodeURIComponent(body));
      const run = () => new Promise((resolve, reject) => {
        const worker = new Worker(url, { workerData: library });
        worker.on('message', resolve);
        worker.on('error', reject);
      });
      process.stdout.write((await Promise.all([run(), run()])).join(', '));`;
    expect(await node(text)).toBe('2 true 1, 2 true 1 (0)');
  });
});
