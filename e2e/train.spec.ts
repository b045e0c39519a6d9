// The training page: a LeNet learns on the CPU and on WebGPU (a software adapter here), reads a drawing, and goes on after a reload; and what
// the page says when the GPU, the data, the storage or the loss fails. Runs are short: the first 3,000 digits, or fewer.
import { expect, type Page, test } from '@playwright/test';

const SHORT = 'pictures=3000&epochs=3';
const CPU = `/train.html?device=cpu&${SHORT}`;
const GPU = '/train.html?device=gpu&software=1&pictures=960&epochs=2&batchSize=32&learningRate=0.05';

/** What went wrong in a page: uncaught errors, what the console calls an error, requests that failed. */
function watch(page: Page): string[] {
  const wrong: string[] = [];
  page.on('pageerror', (error) => wrong.push(String(error)));
  page.on('console', (message) => {
    if (message.type() === 'error') wrong.push(message.text());
  });
  page.on('response', (response) => {
    if (response.status() >= 400) wrong.push(`${response.url()} ${response.status()}`);
  });
  return wrong;
}

const go = (page: Page) => page.locator('#go');

/** Waits for the page to stand still or to train, as told. */
async function expectPhase(page: Page, phase: string, wrong: readonly string[] = []): Promise<void> {
  await expect(page.locator('html'), wrong.join('\n')).toHaveAttribute('data-phase', phase, {
    timeout: 45_000,
  });
}

async function step(page: Page): Promise<number> {
  return Number(await page.locator('html').getAttribute('data-step'));
}

async function loss(page: Page): Promise<number> {
  return Number(await page.locator('#loss').textContent());
}

/** Trains until so many steps are done. */
async function trainTo(page: Page, steps: number): Promise<void> {
  await expect(go(page)).toBeEnabled({ timeout: 30_000 });
  await go(page).click();
  await expect.poll(() => step(page), { timeout: 60_000, intervals: [100] }).toBeGreaterThanOrEqual(steps);
}

/** Draws lines on the pad, their spots in shares of its side. */
async function draw(page: Page, ...lines: readonly (readonly [number, number])[][]): Promise<void> {
  const pad = page.locator('#pad');
  await pad.scrollIntoViewIfNeeded();
  const box = await pad.boundingBox();
  if (box === null) throw new Error('the pad is not to be seen');
  for (const line of lines) {
    for (const [at, [x, y]] of line.entries()) {
      await page.mouse.move(box.x + x * box.width, box.y + y * box.height, { steps: at === 0 ? 1 : 5 });
      if (at === 0) await page.mouse.down();
    }
    await page.mouse.up();
  }
}

/** What the page left in IndexedDB. */
function keptRun(page: Page): Promise<{ training: boolean } | undefined> {
  return page.evaluate(
    () =>
      new Promise((resolve, reject) => {
        const opening = indexedDB.open('webgluon.train');
        opening.onerror = () => reject(opening.error);
        opening.onsuccess = () => {
          const reading = opening.result.transaction('runs').objectStore('runs').get('last');
          reading.onsuccess = () => {
            opening.result.close();
            resolve(reading.result);
          };
        };
      }),
  );
}

const ONE: [number, number][] = [
  [0.5, 0.15],
  [0.5, 0.85],
];

/** The ten probabilities that the bars show. */
function shares(page: Page): Promise<number[]> {
  return page
    .locator('#bars .bar-fill')
    .evaluateAll((fills) =>
      fills.map((fill) => Number((fill as HTMLElement).style.getPropertyValue('--share'))),
    );
}

/** Waits for a reading: of a sample, which says whether it is right, or of a drawing, of which nobody knows. */
async function expectReading(page: Page, of: 'sample' | 'drawing'): Promise<void> {
  const said = of === 'sample' ? /^Reads \d.*(, and right|, but it is \d)/ : /^Reads \d[^,]*, [^,]* sure\.$/;
  await expect(page.locator('#answer-status')).toContainText(said);
  const bars = await shares(page);
  expect(bars).toHaveLength(10);
  expect(bars.reduce((sum, share) => sum + share, 0)).toBeCloseTo(1, 4);
}

for (const [device, path] of [
  ['cpu', CPU],
  ['gpu', `/csp${GPU}`],
] as const) {
  test(`learns, reads a drawing and goes on after a reload: ${device}`, async ({ page }) => {
    const wrong = watch(page);
    await page.goto(path);
    await trainTo(page, device === 'cpu' ? 25 : 10);
    await expect(page.getByRole('radio', { name: device.toUpperCase() })).toBeChecked();
    const early = await loss(page);
    expect(early).toBeGreaterThan(0.3);

    await draw(page, ONE);
    await expectReading(page, 'drawing');
    await expect(page.locator('#notice')).toBeHidden();
    await expect(page.locator('#graph svg title')).toHaveText(/^Graph of /);

    await expect.poll(() => loss(page), { timeout: 45_000 }).toBeLessThan(Math.min(early, 2.1));
    if ((await page.locator('html').getAttribute('data-phase')) === 'training') await go(page).click();
    await expect(page.locator('#status')).toContainText(/Stopped at step|Done on/);
    await expect(page.locator('#kept')).toHaveText('Kept in this browser.');
    const [steps, before] = [await step(page), await loss(page)];
    expect(steps).toBeGreaterThan(10);

    // The network that comes back is the one that went: the same step, the same curve, the same reading.
    await page.locator('#samples button').nth(4).click();
    await expectReading(page, 'sample');
    const reading = await shares(page);
    await page.reload();
    await expect(page.locator('#status')).toContainText(`Stopped at step ${steps}, in your last visit.`);
    expect(await step(page)).toBe(steps);
    expect(await loss(page)).toBeCloseTo(before, 3);
    await page.locator('#samples button').nth(4).click();
    await expectReading(page, 'sample');
    for (const [digit, share] of (await shares(page)).entries())
      expect(share).toBeCloseTo(reading[digit] ?? -1, 4);
    await go(page).click();
    await expect.poll(() => step(page), { timeout: 30_000, intervals: [50] }).toBeGreaterThan(steps);
    expect(wrong).toEqual([]);
  });
}

test('a run that was going when the page was left goes on by itself, to its end', async ({ page }) => {
  const wrong = watch(page);
  await page.goto('/plain/train.html?device=cpu&pictures=12000&epochs=2');
  await trainTo(page, 20);
  await page.evaluate(() => {
    Object.defineProperty(document, 'hidden', { value: true });
    document.dispatchEvent(new Event('visibilitychange'));
  });
  await expect.poll(async () => (await keptRun(page))?.training, { timeout: 10_000 }).toBe(true);
  await page.reload();
  // one reading: the line soon tells of something else
  let words = '';
  const resumed = async (): Promise<string> => {
    const text = (await page.locator('#status').textContent()) ?? '';
    words ||= /^Resumed at step ([\d,]+) on the CPU/.exec(text)?.[1] ?? '';
    return words;
  };
  await expect.poll(resumed, { intervals: [20] }).not.toBe('');
  expect(Number(words.replace(',', ''))).toBeGreaterThanOrEqual(20);
  await expectPhase(page, 'finished', wrong);
  await expect(page.locator('#accuracy')).toHaveText(/^9\d\.\d\d %$/);
  await expect(page.locator('#test-count')).toHaveText('2,000');
  expect(await step(page)).toBe(376);
  const mistake = page.locator('#mistakes button').first();
  await expect(mistake).toHaveAccessibleName(/^Test digit [\d,]+: says \d, [\d.]+ % sure, is \d$/);
  await mistake.click();
  await expect(page.locator('#answer')).toContainText('but it is');
  await page.getByText('The tests as a table').click();
  await expect(page.locator('#tests tr').last()).toContainText('of 2,000');
  await expect(page.locator('#loss-chart canvas')).toBeVisible();
  await expect(page.locator('#accuracy-chart .plot')).toHaveAccessibleName(/^Accuracy: .* at the last test$/);

  // Everything is forgotten, but not without asking.
  await page.getByRole('button', { name: 'Start over' }).click();
  await page.getByRole('button', { name: 'Keep it' }).click();
  await expectPhase(page, 'finished');
  await page.getByRole('button', { name: 'Start over' }).click();
  await page.getByRole('button', { name: 'Forget it' }).click();
  await expectPhase(page, 'new');
  await expect(page.locator('#accuracy')).toHaveText('–');
  expect(wrong).toEqual([]);
});

test('another device takes over in the middle of a run, and so does another learning rate', async ({
  page,
}) => {
  const wrong = watch(page);
  await page.goto(GPU);
  await trainTo(page, 4);
  await page.getByRole('radio', { name: 'CPU' }).check();
  await page.getByLabel('Learning rate').press('ArrowLeft');
  await expect(page.locator('#rate-value')).toHaveText('0.02');
  await expectPhase(page, 'finished', wrong);
  await expect(page.getByRole('radio', { name: 'CPU' })).toBeChecked();
  expect(await step(page)).toBe(60);
  await page.getByRole('button', { name: 'One more epoch' }).click();
  await expect.poll(() => step(page), { intervals: [50] }).toBe(90);
  await expect(page.getByLabel('Epochs', { exact: true })).toHaveValue('3');
  expect(wrong).toEqual([]);
});

test.describe('when something fails', () => {
  test('a GPU that goes away leaves the CPU to go on from the last checkpoint', async ({ page }) => {
    // In the worker the device is out of the test's reach, so the worker's own script gets a line that keeps it in reach.
    await page.route('**/assets/worker-*.js', async (route) => {
      const response = await route.fetch();
      const hook = `{ const { requestDevice } = GPUAdapter.prototype;
        GPUAdapter.prototype.requestDevice = async function (...args) {
          const device = await requestDevice.apply(this, args);
          addEventListener('message', ({ data }) => { if (data.kind === 'keep') device.destroy(); });
          return device;
        }; }`;
      await route.fulfill({ response, body: `${hook}\n${await response.text()}` });
    });
    await page.goto(GPU);
    await trainTo(page, 4);
    await page.evaluate(() => {
      Object.defineProperty(document, 'hidden', { value: true });
      document.dispatchEvent(new Event('visibilitychange'));
    });
    await expect(page.locator('#notice')).toContainText('The GPU went away.', { timeout: 30_000 });
    await expect(page.getByRole('radio', { name: 'CPU' })).toBeChecked();
    await expectPhase(page, 'finished');
    expect(await step(page)).toBe(60);
  });

  test('no WebGPU', async ({ page }) => {
    const wrong = watch(page);
    for (const target of ['Navigator', 'WorkerNavigator'])
      await page.addInitScript((name) => {
        const prototype = (globalThis as unknown as Record<string, { prototype: object } | undefined>)[name];
        if (prototype) Object.defineProperty(prototype.prototype, 'gpu', { get: () => undefined });
      }, target);
    await page.goto(`/train.html?${SHORT}`);
    await expectPhase(page, 'new', wrong);
    await expect(page.locator('#notice')).toContainText('The CPU does the work.');
    await expect(page.getByRole('radio', { name: 'CPU' })).toBeChecked();
    expect(wrong).toEqual([]);
  });

  test('a learning rate far too high is said, and the network goes back', async ({ page }) => {
    await page.goto(`/train.html?device=cpu&${SHORT}&learningRate=10&schedule=constant`);
    await expect(go(page)).toBeEnabled();
    await go(page).click();
    await expect(page.locator('#notice')).toContainText('the learning rate is too high', { timeout: 30_000 });
    await expect(go(page)).toHaveText(/Start training|Continue/);
  });

  test('pictures that do not come are named, and the visitor can try again', async ({ page }) => {
    await page.route('**/train-images*', (route) => route.fulfill({ status: 404, body: 'no' }));
    await page.goto(CPU);
    await go(page).click();
    await expect(page.locator('#notice')).toContainText('train-images-idx3-ubyte.gz could not be fetched');
    await page.unroute('**/train-images*');
    await page.getByRole('button', { name: 'Try again' }).click();
    await expect.poll(() => step(page)).toBeGreaterThan(1);
    await expect(page.locator('#notice')).toBeHidden();
  });

  test('damaged test pictures are refused', async ({ page }) => {
    await page.route('**/t10k-labels*', (route) => route.fulfill({ body: 'not digits at all' }));
    await page.goto(CPU);
    await expect(page.locator('#notice')).toContainText('not an idx file');
  });

  test('a second tab trains, keeps nothing, and says so', async ({ page, context }) => {
    await page.goto(CPU);
    await expectPhase(page, 'new');
    const second = await context.newPage();
    await second.goto(CPU);
    await expect(second.locator('#storage')).toContainText('open in another tab');
    await trainTo(second, 3);
    await expect(second.locator('#kept')).toHaveText('Not kept.');
  });

  test('a browser without storage trains and says that nothing is kept', async ({ page }) => {
    await page.route('**/assets/worker-*.js', async (route) => {
      const response = await route.fetch();
      const hook = `indexedDB.open = () => { throw new DOMException('denied', 'SecurityError'); };
        Object.defineProperty(IDBFactory.prototype, 'open', { value: indexedDB.open });`;
      await route.fulfill({ response, body: `${hook}\n${await response.text()}` });
    });
    await page.goto(CPU);
    await expect(page.locator('#storage')).toContainText('Nothing will be kept.');
    await trainTo(page, 3);
  });
});

test.describe('for everybody', () => {
  test('fits a phone of 360 pixels, and the other page is one link away', async ({ page }) => {
    await page.setViewportSize({ width: 360, height: 740 });
    await page.goto(CPU);
    await trainTo(page, 3);
    for (const url of ['/train.html', '/']) {
      const { scroll, client, outside } = await page.evaluate(() => ({
        scroll: document.documentElement.scrollWidth,
        client: document.documentElement.clientWidth,
        outside: [...document.querySelectorAll('body *:not(.tile *):not(.unseen, .unseen *)')]
          .filter(
            (element) =>
              element.checkVisibility() && element.getBoundingClientRect().right > innerWidth + 0.5,
          )
          .map((element) => `${element.tagName}.${element.className}`),
      }));
      expect(scroll).toBe(client);
      expect(outside).toEqual([]);
      if (url === '/') break;
      await page.getByRole('link', { name: 'Classify' }).click();
      await expect(page).toHaveTitle(/wardrobe/);
    }
    await page.getByRole('link', { name: 'Train' }).click();
    await expect(page).toHaveTitle(/digits/);
  });

  test('names, headings, live regions; by keyboard from a sample to its reading', async ({ page }) => {
    await page.goto(CPU);
    await expectPhase(page, 'new');
    await page.getByRole('button', { name: 'A sample of 3' }).press('Enter');
    await expectReading(page, 'sample');
    await expect(page.locator('#pad')).toHaveAccessibleName('Drawing pad with a test digit 3');
    await page.getByRole('button', { name: 'Clear' }).press('Enter');
    await expect(page.locator('#answer')).toContainText('Nothing drawn yet.');
    const facts = await page.evaluate(() => {
      const ids = [...document.querySelectorAll('[id]')].map(({ id }) => id);
      const references = ['aria-labelledby', 'aria-describedby', 'for'].flatMap((name) =>
        [...document.querySelectorAll(`[${name}]`)].flatMap((element) =>
          (element.getAttribute(name) ?? '').split(' '),
        ),
      );
      return {
        levels: [...document.querySelectorAll('main :is(h1, h2, h3, h4)')].map(({ tagName }) =>
          Number(tagName[1]),
        ),
        doubled: ids.filter((id, at) => ids.indexOf(id) !== at),
        dangling: references.filter((id) => document.getElementById(id) === null),
        live: [...document.querySelectorAll('[role="status"]')].map(({ id }) => id).sort(),
      };
    });
    expect(facts.levels.filter((level) => level === 1)).toHaveLength(1);
    for (const [at, level] of facts.levels.entries())
      expect(level, `heading ${at} skips a level`).toBeLessThanOrEqual((facts.levels[at - 1] ?? 0) + 1);
    expect(facts.doubled).toEqual([]);
    expect(facts.dangling).toEqual([]);
    expect(facts.live).toEqual(['answer-status', 'notice', 'status', 'storage']);
    for (const role of [
      'button',
      'radio',
      'combobox',
      'slider',
      'spinbutton',
      'img',
      'progressbar',
      'link',
    ] as const) {
      for (const element of await page.getByRole(role).all())
        await expect(element).toHaveAccessibleName(/\S/);
    }
  });
});
