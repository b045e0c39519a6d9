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
