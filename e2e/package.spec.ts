// The built package where no bundler helps: a bare page and a module worker, isolated, not isolated, and under the
// strictest content-security policy it promises to run under.
import { expect, type Page, test } from '@playwright/test';

const PRINTED = '\n[[1.  2. ]\n [3.  4.5]]\n<NDArray 2x2 @cpu(0)>\n1 2 3 4.5';

/** What went wrong in a page: uncaught errors, console errors, requests that failed, answers that were not ok. */
function watch(page: Page): string[] {
  const wrong: string[] = [];
  page.on('pageerror', (error) => wrong.push(String(error)));
  page.on('console', (message) => {
    if (message.type() === 'error') wrong.push(message.text());
  });
  page.on('requestfailed', (request) => wrong.push(`${request.url()} ${request.failure()?.errorText}`));
  page.on('response', (response) => {
    if (response.status() >= 400) wrong.push(`${response.url()} ${response.status()}`);
  });
  return wrong;
}

/** The library's files that a page has loaded, by name. */
const loaded = (page: Page) =>
  page.evaluate(() =>
    performance
      .getEntriesByType('resource')
      .map(({ name }) => /\/dist\/(?:chunks\/)?(\w+)\.js$/.exec(name)?.[1])
      .filter((name) => name !== undefined),
  );

const variants = [
  { name: 'isolated', path: '/e2e/pages/bare.html', isolated: true },
  { name: 'not isolated', path: '/plain/e2e/pages/bare.html', isolated: false },
  { name: 'under the content-security policy', path: '/csp/e2e/pages/bare.html', isolated: true },
];

for (const { name, path, isolated } of variants) {
  test(`a bare page and a worker import the library: ${name}`, async ({ page }) => {
    const wrong = watch(page);
    await page.goto(path);
    expect(await page.evaluate(() => crossOriginIsolated)).toBe(isolated);
    for (const id of ['page', 'worker']) {
      const output = page.locator(`#${id}`);
      await expect(output, wrong.join('\n')).toHaveAttribute('data-done', 'true', { timeout: 30_000 });
      expect(await output.textContent()).toBe(PRINTED);
    }
    expect(wrong).toEqual([]);
  });
}

for (const { name, path, isolated } of variants) {
  test(`what a page needs only at times comes when it does: ${name}`, async ({ page }) => {
    const wrong = watch(page);
    await page.goto(path);
    await expect(page.locator('#worker')).toHaveAttribute('data-done', 'true', { timeout: 30_000 });
    const lazy = ['files', 'gpuDevice', 'openAdapter', 'threads'];
    expect((await loaded(page)).filter((file) => lazy.includes(file))).toEqual([]);
    const results = await page.evaluate(
      async (library) => {
        const { gpu, nd, numGpus, openGpu, setNumThreads } = (await import(
          library
        )) as typeof import('webgluon');
        const saved = await nd.load(await nd.save({ w: nd.ones([2]) }));
        const threads = await setNumThreads(2);
        const before = await numGpus({ allowSoftware: true });
        const ctx = await openGpu({ allowSoftware: true });
        const values = [...(await nd.ones([2], { ctx }).add(1).data())];
        await gpu().close();
        return { saved: String((saved as { w: unknown }).w), threads, before, values };
      },
      path.replace('e2e/pages/bare.html', 'dist/webgluon.js'),
    );
    expect(results).toEqual({
      saved: '\n[1. 1.]\n<NDArray 2 @cpu(0)>',
      threads: isolated ? 2 : 1,
      before: 1,
      values: [2, 2],
    });
    expect((await loaded(page)).filter((file) => lazy.includes(file)).sort()).toEqual(lazy);
    expect(wrong).toEqual([]);
  });
}

test('where the part for GPUs does not arrive, openGpu says so and tryGpu goes on', async ({ page }) => {
  await page.route('**/gpuDevice.js', (route) => route.abort());
  await page.goto('/e2e/pages/bare.html');
  const [refusal, instead] = await page.evaluate(async (library) => {
    const { openGpu, tryGpu } = (await import(library)) as typeof import('webgluon');
    const options = { allowSoftware: true };
    const error = await openGpu(options).catch((e: Error) => e);
    return [String(error), String(await tryGpu(options))];
  }, '/dist/webgluon.js');
  expect(refusal).toMatch(
    /^GpuUnavailableError: \[openGpu\] expected the library's part for GPUs, received /,
  );
  expect(instead).toBe('cpu(0)');
});

test('a policy without wasm-unsafe-eval is named', async ({ page }) => {
  await page.route('**/bare.html', async (route) => {
    const response = await route.fetch();
    const headers = { ...response.headers(), 'content-security-policy': "script-src 'self'" };
    await route.fulfill({ response, headers });
  });
  const error = page.waitForEvent('pageerror');
  await page.goto('/e2e/pages/bare.html');
  expect((await error).message).toMatch(/^\[cpu\] expected .*Add 'wasm-unsafe-eval' to script-src/);
});

test('the policy is in force: an inline script does not run', async ({ page }) => {
  await page.goto('/csp/e2e/pages/bare.html');
  const ran = await page.evaluate(() => {
    const script = document.createElement('script');
    script.textContent = 'window.inlineRan = true';
    document.head.append(script);
    return 'inlineRan' in window;
  });
  expect(ran).toBe(false);
});

test('the browser of these tests has a WebGPU adapter', async ({ page }) => {
  await page.goto('/e2e/pages/bare.html');
  const vendor = await page.evaluate(async () => (await navigator.gpu?.requestAdapter())?.info.vendor);
  expect(vendor).toEqual(expect.any(String));
});
