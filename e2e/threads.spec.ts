// Threads of the CPU device in a real page: with the worker's file under the strictest policy, and one thread where memory cannot be shared. Products are the
// same for any number of them.
import { expect, test } from '@playwright/test';

const variants = [
  { name: 'isolated', path: '/e2e/pages/bare.html', threads: 2 },
  { name: 'not isolated', path: '/plain/e2e/pages/bare.html', threads: 1 },
  { name: 'under the content-security policy', path: '/csp/e2e/pages/bare.html', threads: 2 },
];

for (const { name, path, threads } of variants) {
  test(`setNumThreads: ${name}`, async ({ page }) => {
    await page.goto(path);
    const found = await page.evaluate(async () => {
      // in a variable: the library is served, not part of this file's compilation
      const library = '/dist/webgluon.js';
      const { nd, setNumThreads } = (await import(library)) as typeof import('webgluon');
      const a = nd.random.uniform(-1, 1, { shape: [300, 260] });
      const b = nd.random.uniform(-1, 1, { shape: [260, 310] });
      const product = async (): Promise<string> => Array.from(await nd.dot(a, b).data()).join();
      const one = await product();
      const inUse = await setNumThreads(2);
      let same = true;
      for (let round = 0; round < 10; round++) same &&= (await product()) === one;
      return { inUse, same, after: await setNumThreads(1) };
    });
    expect(found).toEqual({ inUse: threads, same: true, after: 1 });
  });
}
