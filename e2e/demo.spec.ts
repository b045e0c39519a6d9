// The demo page: on a GPU (a software adapter here), on the CPU, and where WebGPU is missing, refused or lost; with the keyboard, on a
// phone, in both colour schemes, and by the checks that an accessibility audit would make.
import { readFileSync } from 'node:fs';
import { chromium, expect, type Page, test } from '@playwright/test';

const GPU = '/?device=gpu&software=1';
const CPU = '/?device=cpu';
const DONE = 60_000;

/** What NumPy makes of the same weights and pictures. */
const expected = JSON.parse(
  readFileSync(new URL('../test-data/crash-course/lenet-expected.json', import.meta.url), 'utf8'),
) as { correct_of_900: number; pred_first_30: number[] };

const CLASSES = [
  'T-shirt/top',
  'Trouser',
  'Pullover',
  'Dress',
  'Coat',
  'Sandal',
  'Shirt',
  'Sneaker',
  'Bag',
  'Ankle boot',
];

/** What went wrong in a page: uncaught errors, what the console calls an error, requests that failed. */
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

/** Waits for a run on that device to end and checks its figures against NumPy's. */
async function expectRun(page: Page, device: 'cpu' | 'gpu', wrong: readonly string[] = []): Promise<void> {
  await expect(page.locator('html'), wrong.join('\n')).toHaveAttribute('data-done', device, {
    timeout: DONE,
  });
  await expect(page.locator('#right')).toHaveText(String(expected.correct_of_900));
  await expect(page.locator('#of')).toHaveText(' of 900');
  await expect(page.locator('#accuracy')).toHaveText('89.0 %');
  await expect(page.locator('#rate')).toHaveText(/^[\d,]+$/);
  await expect(page.locator('#status')).toContainText(`${device.toUpperCase()}: 801 of 900 right`);
  await expect(page.getByRole('radio', { name: device.toUpperCase() })).toBeChecked();
  await expect(page.locator('.tile.done')).toHaveCount(900);
  await expect(page.locator('.tile.wrong')).toHaveCount(99);
}

async function withoutWebGpu(page: Page): Promise<void> {
  await page.addInitScript(() => {
    Object.defineProperty(Navigator.prototype, 'gpu', { get: () => undefined });
  });
}

test.describe('801 of 900', () => {
  for (const [device, path, prefixes] of [
    ['gpu', GPU, ['', '/csp']],
    ['cpu', CPU, ['', '/csp', '/plain']],
  ] as const) {
    for (const prefix of prefixes) {
      test(`on the ${device}, ${prefix === '' ? 'isolated' : prefix}`, async ({ page }) => {
        const wrong = watch(page);
        await page.goto(prefix + path);
        await expectRun(page, device, wrong);
        const said = await page.evaluate(() =>
          Array.from(
            { length: 30 },
            (_, index) => document.querySelector(`[data-index="${index}"] .said`)?.textContent,
          ),
        );
        expect(said).toEqual(expected.pred_first_30.map((label) => CLASSES[label]));
        await expect(page.locator('#notice')).toBeHidden();
        expect(wrong).toEqual([]);
      });
    }
  }

  test('in a browser without WebGPU, which says so and uses the CPU', async ({ page }) => {
    const wrong = watch(page);
    await withoutWebGpu(page);
    await page.goto('/');
    await expectRun(page, 'cpu', wrong);
    await expect(page.locator('#notice')).toContainText('This browser does not offer WebGPU');
    await expect(page.locator('#gpu-name')).toHaveText('not available');
    expect(wrong).toEqual([]);
  });

  test('in a browser that was started without it', async ({ baseURL }) => {
    const browser = await chromium.launch({
      ...(process.env['CHROMIUM_PATH'] ? { executablePath: process.env['CHROMIUM_PATH'] } : {}),
      args: ['--no-sandbox', '--disable-gpu', '--disable-features=WebGPU'],
    });
    try {
      const page = await browser.newPage();
      const wrong = watch(page);
      await page.goto(`${baseURL}/`);
      await expectRun(page, 'cpu', wrong);
      await expect(page.locator('#notice')).toContainText('The CPU does the work.');
      expect(wrong).toEqual([]);
    } finally {
      await browser.close();
    }
  });
});

test.describe('devices', () => {
  test('a software adapter counts as none until the visitor wants it', async ({ page }) => {
    const wrong = watch(page);
    await page.goto('/');
    await expectRun(page, 'cpu', wrong);
    const notice = page.locator('#notice');
    await expect(notice).toContainText('computes in software');
    await notice.locator('summary').click();
    await expect(notice.locator('code')).toContainText('[openGpu] expected a WebGPU adapter');
    await notice.getByRole('button', { name: 'Use the software adapter anyway' }).click();
    await expectRun(page, 'gpu', wrong);
    await expect(notice).toBeHidden();
    expect(wrong).toEqual([]);
  });

  test('the switch runs the pictures again on the other device, and back', async ({ page }) => {
    const wrong = watch(page);
    await page.goto(GPU);
    await expectRun(page, 'gpu', wrong);
    await expect(page.locator('#gpu-name')).toContainText(/swiftshader|software/i);
    await expect(page.locator('#gpu-rate')).toHaveText(/^[\d,]+ images\/s$/);
    await page.getByRole('radio', { name: 'CPU' }).check();
    await expectRun(page, 'cpu', wrong);
    await expect(page.locator('#cpu-rate')).toHaveText(/^[\d,]+ images\/s$/);
    // By keyboard as well: the arrows of a radio group.
    await page.getByRole('radio', { name: 'CPU' }).press('ArrowLeft');
    await expectRun(page, 'gpu', wrong);
    expect(wrong).toEqual([]);
  });

  test('switching in the middle of a run ends in one whole run', async ({ page }) => {
    const wrong = watch(page);
    await page.goto(CPU);
    await expect(page.locator('.tile.done').first()).toBeVisible();
    for (const name of ['GPU', 'CPU', 'GPU', 'CPU']) await page.getByRole('radio', { name }).click();
    await page.getByRole('button', { name: 'Run again' }).click();
    await expectRun(page, 'cpu', wrong);
    expect(wrong).toEqual([]);
  });

  test('a switch to a GPU that is not there explains itself and goes on', async ({ page }) => {
    const wrong = watch(page);
    await withoutWebGpu(page);
    await page.goto(CPU);
    await expectRun(page, 'cpu', wrong);
    await expect(page.locator('#notice')).toBeHidden();
    await page.getByRole('radio', { name: 'GPU' }).click();
    await expect(page.locator('#notice')).toContainText('does not offer WebGPU');
    await expectRun(page, 'cpu', wrong);
    expect(wrong).toEqual([]);
  });

  test('a GPU that goes away leaves the CPU at work', async ({ page }) => {
    await page.addInitScript(() => {
      const { requestDevice } = GPUAdapter.prototype;
      GPUAdapter.prototype.requestDevice = async function (this: GPUAdapter, ...args) {
        const device = await requestDevice.apply(this, args);
        Object.assign(window, { openedDevice: device });
        return device;
      };
    });
    await page.goto(GPU);
    await expectRun(page, 'gpu');
    await page.evaluate(() => (window as unknown as { openedDevice: GPUDevice }).openedDevice.destroy());
    await expect(page.locator('#notice')).toContainText('The GPU went away.');
    await expectRun(page, 'cpu');
    await page.getByRole('button', { name: 'Try the GPU again' }).click();
    await expectRun(page, 'gpu');
  });
});

test.describe('the page', () => {
  test('shows progress while it works, and paints in between', async ({ page }) => {
    await page.addInitScript(() => {
      const seen: number[] = [];
      Object.assign(window, { seen });
      const look = (): void => {
        const value = document.querySelector('progress')?.value;
        if (value !== undefined && value !== seen.at(-1)) seen.push(value);
        requestAnimationFrame(look);
      };
      requestAnimationFrame(look);
    });
    await page.goto(CPU);
    await expectRun(page, 'cpu');
    // Frames drawn with the bar at different places: the run let the page paint.
    const seen = await page.evaluate(() => (window as unknown as { seen: number[] }).seen);
    expect(seen.length).toBeGreaterThan(10);
    expect(seen.at(-1)).toBe(900);
    expect(seen).toEqual([...seen].sort((a, b) => a - b));
  });

  test('a file that does not come is named, and the visitor can try again', async ({ page }) => {
    await page.route('**/*.params', (route) => route.fulfill({ status: 404, body: 'no' }));
    await page.goto(CPU);
    await expect(page.locator('#notice')).toContainText('lenet-fashionmnist.params could not be fetched');
    await page.unroute('**/*.params');
    await page.getByRole('button', { name: 'Try again' }).click();
    await expectRun(page, 'cpu');
  });

  test('weights that are damaged are refused in the library’s words', async ({ page }) => {
    await page.route('**/*.params', async (route) => {
      const response = await route.fetch();
      await route.fulfill({ response, body: (await response.body()).subarray(0, 1000) });
    });
    await page.goto(CPU);
    await expect(page.locator('#notice')).toContainText('The network could not run.');
    await page.locator('#notice summary').click();
    await expect(page.locator('#notice code')).toContainText('expected');
  });

  test('shows a picture with its ten probabilities', async ({ page }) => {
    await page.goto(CPU);
    await expectRun(page, 'cpu');
    await page.locator('[data-index="1"]').click();
    const detail = page.getByRole('complementary');
    await expect(detail.getByRole('heading')).toHaveText('Picture 2');
    await expect(detail.getByRole('img')).toHaveAccessibleName(/^Picture 2, T-shirt\/top/);
    await expect(page.locator('#verdict')).toHaveText(
      /^Says Shirt, 67\.\d % sure\. Wrong: it is T-shirt\/top\.$/,
    );
    const shares = await detail
      .getByRole('listitem')
      .evaluateAll((rows) =>
        rows.map((row) =>
          Number.parseFloat(
            row.querySelector<HTMLElement>('.bar-fill')?.style.getPropertyValue('--share') ?? '',
          ),
        ),
      );
    expect(shares).toHaveLength(10);
    expect(shares.reduce((sum, share) => sum + share, 0)).toBeCloseTo(1, 4);
    await expect(detail.getByRole('listitem').filter({ hasText: 'says' })).toContainText('Shirt');
    await expect(
      detail.getByRole('listitem').filter({ has: page.getByText('is', { exact: true }) }),
    ).toContainText('T-shirt/top');
  });

  test('filters', async ({ page }) => {
    await page.goto(CPU);
    await expectRun(page, 'cpu');
    const visible = page.locator('.tile:visible');
    await page.getByRole('radio', { name: 'Wrong 99' }).check();
    await expect(visible).toHaveCount(99);
    await expect(page.locator('#shown')).toHaveText('99 shown');
    await page.getByRole('combobox', { name: 'Is' }).selectOption('Coat');
    await page.getByRole('combobox', { name: 'Says' }).selectOption('Trouser');
    await expect(visible).toHaveCount(0);
    await page.getByRole('button', { name: 'Show all' }).click();
    await expect(visible).toHaveCount(900);
    const commonest = page.locator('.mixup').first();
    const count = Number(await commonest.locator('.mixup-count').textContent());
    await commonest.click();
    await expect(visible).toHaveCount(count);
    await page.getByRole('checkbox', { name: 'Names' }).uncheck();
    await expect(page.locator('.said:visible')).toHaveCount(0);
  });

  test('prints the network as Gluon prints it, and the file that runs', async ({ page }) => {
    await page.goto(CPU);
    await expectRun(page, 'cpu');
    expect(await page.locator('#repr').textContent()).toBe(`Sequential(
  (0): Conv2D(1 -> 6, kernel_size=(5, 5), stride=(1, 1))
  (1): MaxPool2D(size=(2, 2), stride=(2, 2), padding=(0, 0), ceil_mode=False)
  (2): Conv2D(6 -> 16, kernel_size=(3, 3), stride=(1, 1))
  (3): MaxPool2D(size=(2, 2), stride=(2, 2), padding=(0, 0), ceil_mode=False)
  (4): Flatten
  (5): Dense(400 -> 120, Activation(relu))
  (6): Dense(120 -> 84, Activation(relu))
  (7): Dense(84 -> 10, linear)
)
`);
    await expect(page.locator('#size')).toContainText('60,170 weights');
    const source = readFileSync(new URL('../demo/lenet.ts', import.meta.url), 'utf8');
    expect(await page.locator('#source').textContent()).toBe(source);
  });

  test('remembers light or dark', async ({ page }) => {
    await page.emulateMedia({ colorScheme: 'light' });
    await page.goto(CPU);
    const background = (): Promise<string> =>
      page.evaluate(() => getComputedStyle(document.body).backgroundColor);
    const light = await background();
    await page.getByRole('radio', { name: 'Dark' }).check();
    const dark = await background();
    expect(dark).not.toBe(light);
    await page.reload();
    await expect(page.getByRole('radio', { name: 'Dark' })).toBeChecked();
    expect(await background()).toBe(dark);
    await page.getByRole('radio', { name: 'Auto' }).check();
    expect(await background()).toBe(light);
    await page.emulateMedia({ colorScheme: 'dark' });
    expect(await background()).toBe(dark);
  });

  for (const width of [320, 360, 820]) {
    test(`does not scroll sideways at ${width} pixels`, async ({ page }) => {
      await page.setViewportSize({ width, height: 740 });
      await page.goto('/');
      await expectRun(page, 'cpu');
      const { scroll, client } = await page.evaluate(() => ({
        scroll: document.documentElement.scrollWidth,
        client: document.documentElement.clientWidth,
      }));
      expect(scroll).toBe(client);
      // Nothing is cut off at the right either, except inside the sheet, which has its own edge.
      const outside = await page.evaluate(() =>
        [...document.querySelectorAll('body *:not(.tile *):not(.unseen, .unseen *)')]
          .filter((element) => element.getBoundingClientRect().right > innerWidth + 0.5)
          .map((element) => `${element.tagName}.${element.className}`),
      );
      expect(outside).toEqual([]);
    });
  }
});

test.describe('for everybody', () => {
  test('the sheet is one stop for Tab, and arrows walk over it', async ({ page }) => {
    await page.goto(CPU);
    await expectRun(page, 'cpu');
    const sheet = page.getByRole('listbox');
    await expect(sheet.locator('[tabindex="0"]')).toHaveCount(1);
    await page.getByRole('checkbox', { name: 'Names' }).focus();
    await page.keyboard.press('Tab');
    const focused = page.locator(':focus');
    await expect(focused).toHaveAccessibleName('Picture 1: says T-shirt/top, is T-shirt/top: right');
    await page.keyboard.press('ArrowRight');
    await expect(focused).toHaveAccessibleName('Picture 91: says Trouser, is Trouser: right');
    await expect(focused).toHaveAttribute('aria-selected', 'true');
    await expect(page.getByRole('complementary').getByRole('heading')).toHaveText('Picture 91');
    const place = (): Promise<{ x: number; y: number }> =>
      focused.evaluate((element) => ({
        x: (element as HTMLElement).offsetLeft,
        y: (element as HTMLElement).offsetTop,
      }));
    const before = await place();
    await page.keyboard.press('ArrowDown');
    const after = await place();
    expect(after.x).toBe(before.x);
    expect(after.y).toBeGreaterThan(before.y);
    await page.keyboard.press('ArrowUp');
    await expect(focused).toHaveAccessibleName(/^Picture 91:/);
    await page.keyboard.press('End');
    await expect(focused).toHaveAccessibleName(/^Picture 900:/);
    await expect(focused).toBeInViewport();
    await page.keyboard.press('Home');
    await expect(focused).toHaveAccessibleName(/^Picture 1:/);
    await expect(sheet.locator('[aria-selected="true"]')).toHaveCount(1);
    // What has the focus can be seen to have it.
    expect(await focused.evaluate((element) => getComputedStyle(element).outlineStyle)).toBe('solid');
  });

  test('landmarks, headings, names and live regions', async ({ page }) => {
    await page.goto(CPU);
    await expectRun(page, 'cpu');
    for (const role of ['banner', 'main', 'contentinfo', 'complementary'] as const)
      await expect(page.getByRole(role)).toHaveCount(1);
    const facts = await page.evaluate(() => {
      const levels = [...document.querySelectorAll('h1, h2, h3, h4')].map((heading) =>
        Number(heading.tagName[1]),
      );
      const ids = [...document.querySelectorAll('[id]')].map(({ id }) => id);
      const references = ['aria-labelledby', 'aria-describedby'].flatMap((name) =>
        [...document.querySelectorAll(`[${name}]`)].flatMap((element) =>
          (element.getAttribute(name) ?? '').split(' '),
        ),
      );
      return {
        language: document.documentElement.lang,
        title: document.title,
        levels,
        doubled: ids.filter((id, at) => ids.indexOf(id) !== at),
        dangling: references.filter((id) => document.getElementById(id) === null),
        live: [...document.querySelectorAll('[role="status"]')].map(({ id }) => id).sort(),
      };
    });
    expect(facts.language).toBe('en');
    expect(facts.title).toContain('webgluon');
    expect(facts.levels.filter((level) => level === 1)).toHaveLength(1);
    for (const [at, level] of facts.levels.entries())
      expect(level, `heading ${at} skips a level`).toBeLessThanOrEqual((facts.levels[at - 1] ?? 0) + 1);
    expect(facts.doubled).toEqual([]);
    expect(facts.dangling).toEqual([]);
    expect(facts.live).toEqual(['notice', 'shown', 'status']);
    await expect(page.getByRole('progressbar')).toHaveAccessibleName('Pictures classified');
    for (const role of [
      'button',
      'radio',
      'combobox',
      'checkbox',
      'img',
      'listbox',
      'group',
      'table',
      'link',
    ] as const) {
      for (const element of await page.getByRole(role).all())
        await expect(element).toHaveAccessibleName(/\S/);
    }
    // A mistake is told by words and by a sign, not by colour alone.
    const wrong = page.locator('.tile.wrong').first();
    await expect(wrong).toHaveAccessibleName(/: wrong$/);
    expect(
      await wrong.locator('.said').evaluate((element) => getComputedStyle(element, '::before').content),
    ).toContain('✗');
  });

  for (const colorScheme of ['light', 'dark'] as const) {
    test(`text has contrast of 4.5 to 1: ${colorScheme}`, async ({ page }) => {
      await page.emulateMedia({ colorScheme, reducedMotion: 'reduce' });
      await withoutWebGpu(page);
      await page.goto('/');
      await expectRun(page, 'cpu');
      const weak = await page.evaluate(() => {
        const canvas = document.createElement('canvas');
        canvas.width = canvas.height = 1;
        const context = canvas.getContext('2d', { willReadFrequently: true });
        /** Paints colours over each other, first the lowest, and reads what is seen. */
        const seen = (colours: readonly string[]): number[] => {
          if (context === null) throw new Error('no canvas');
          for (const colour of colours) {
            context.fillStyle = colour;
            context.fillRect(0, 0, 1, 1);
          }
          return [...context.getImageData(0, 0, 1, 1).data.slice(0, 3)];
        };
        const luminance = (rgb: readonly number[]): number => {
          const [r = 0, g = 0, b = 0] = rgb.map((byte) => {
            const value = byte / 255;
            return value <= 0.04045 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4;
          });
          return 0.2126 * r + 0.7152 * g + 0.0722 * b;
        };
        const found = new Set<string>();
        for (const element of document.querySelectorAll<HTMLElement>(
          'body *:not(canvas, option, noscript)',
        )) {
          const own = [...element.childNodes].some(
            (node) => node.nodeType === 3 && node.textContent?.trim() !== '',
          );
          if (!own || !element.checkVisibility() || element.closest('.unseen, .skip') !== null) continue;
          const backgrounds: string[] = [];
          for (let at: Element | null = element; at !== null; at = at.parentElement)
            backgrounds.unshift(getComputedStyle(at).backgroundColor);
          const below = luminance(seen(['#fff', ...backgrounds]));
          const above = luminance(seen(['#fff', ...backgrounds, getComputedStyle(element).color]));
          const ratio = (Math.max(below, above) + 0.05) / (Math.min(below, above) + 0.05);
          if (ratio < 4.5) found.add(`${element.tagName}.${element.className} ${ratio.toFixed(2)}`);
        }
        return [...found];
      });
      expect(weak).toEqual([]);
      // Asked for less motion, the page does not move.
      expect(
        await page
          .locator('.bar-fill')
          .first()
          .evaluate((element) => getComputedStyle(element).transitionDuration),
      ).toBe('0s');
    });
  }
});
