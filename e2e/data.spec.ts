// Data in a real page: files over the network, batches that leave the page alive, pictures from what a page shows and back onto a canvas; in a worker too.
import { expect, test } from '@playwright/test';

test('a page goes on painting and answering while a loop trains without a pause of its own', async ({
  page,
}) => {
  await page.goto('/e2e/pages/bare.html');
  const result = await page.evaluate(async () => {
    const at = (path: string): Promise<unknown> => import(path);
    // biome-ignore lint/suspicious/noExplicitAny: the built library, without types in this page
    const { gluon } = (await at('/dist/webgluon.js')) as any;
    const loader = new gluon.data.DataLoader(new Float32Array(600), 2);
    let frames = 0;
    let ticks = 0;
    let running = true;
    const frame = (): void => {
      frames++;
      if (running) requestAnimationFrame(frame);
    };
    requestAnimationFrame(frame);
    const timer = setInterval(() => ticks++, 4);
    let clicked = 0;
    const button = document.body.appendChild(document.createElement('button'));
    button.onclick = () => clicked++;
    setTimeout(() => button.click(), 300);
    const begin = performance.now();
    for await (const _ of loader) {
      // a step of 4 ms that never awaits
      const until = performance.now() + 4;
      while (performance.now() < until);
    }
    const seconds = (performance.now() - begin) / 1000;
    running = false;
    clearInterval(timer);
    return { frames, ticks, clicked, seconds };
  });
  expect(result.seconds).toBeGreaterThan(1);
  expect(result.clicked).toBe(1);
  // a loop that holds the thread would show one frame; a busy machine shows fewer than 60 a second
  expect(result.frames / result.seconds).toBeGreaterThan(10);
  expect(result.ticks / result.seconds).toBeGreaterThan(20);
});

for (const device of ['cpu', 'gpu']) {
  test(`FashionMNIST by URL, batch by batch, on the ${device}`, async ({ page }) => {
    await page.goto('/e2e/pages/bare.html');
    const result = await page.evaluate(async (kind) => {
      const at = (path: string): Promise<unknown> => import(path);
      // biome-ignore lint/suspicious/noExplicitAny: the built library, without types in this page
      const { gluon, cpu, openGpu, memoryInfo, random } = (await at('/dist/webgluon.js')) as any;
      const ctx = kind === 'cpu' ? cpu() : await openGpu({ allowSoftware: true });
      const { FashionMNIST, transforms } = gluon.data.vision;
      const folder = '/test-data/crash-course';
      let progress: { done: number; total: number } | undefined;
      const data = await FashionMNIST.open({
        images: `${folder}/fashion-sprite-images-idx3-ubyte.gz`,
        labels: `${folder}/fashion-sprite-labels-idx1-ubyte.gz`,
        onProgress: (p: { done: number; total: number }) => {
          progress = p;
        },
      });
      const ready = data.transformFirst(
        new transforms.Compose([
          new transforms.RandomFlipLeftRight(),
          new transforms.ToTensor(),
          new transforms.Normalize(0.13, 0.31),
        ]),
      );
      random.seed(1);
      const loader = new gluon.data.DataLoader(ready, 60, { shuffle: true, ctx });
      const levels: number[] = [];
      let labels = 0;
      let sum = 0;
      let kept: { data(): Promise<Float32Array> } | undefined;
      let before: number[] = [];
      for (let epoch = 0; epoch < 3; epoch++)
        for await (const [x, y] of loader) {
          labels += y.shape[0];
          if (kept === undefined) {
            kept = x;
            before = [...(await x.data()).subarray(0, 784)];
          }
          const total = y.sum();
          if (epoch === 0) sum += await total.asscalar();
          total.dispose();
          levels.push(memoryInfo(ctx).arrays);
        }
      const after = [...((await kept?.data())?.subarray(0, 784) ?? [])];
      const missing = await FashionMNIST.open({ root: '/test-data/none' }).catch((e: Error) => e.message);
      return {
        progress,
        labels,
        sum,
        levels,
        missing,
        same: JSON.stringify(before) === JSON.stringify(after),
      };
    }, device);
    expect(result.progress?.done).toBe(result.progress?.total);
    expect(result.labels).toBe(2700);
    // 90 of each of the ten kinds
    expect(result.sum).toBe(4050);
    expect(result.same).toBe(true);
    expect(result.missing).toMatch(
      /^\[FashionMNIST\] expected the images under \/test-data\/none, received HTTP status 404/,
    );
    // the page’s own arrays may be collected meanwhile
    expect(Math.max(...result.levels)).toBe(result.levels[0]);
  });
}

test('pictures from a canvas, an image, a bitmap and a video frame; files of the browser’s formats; back onto a canvas', async ({
  page,
}) => {
  await page.goto('/e2e/pages/bare.html');
  const result = await page.evaluate(async () => {
    const at = (path: string): Promise<unknown> => import(path);
    // biome-ignore lint/suspicious/noExplicitAny: the built library, without types in this page
    const { image, nd } = (await at('/dist/webgluon.js')) as any;
    const canvas = document.createElement('canvas');
    canvas.width = 6;
    canvas.height = 1;
    const draw = canvas.getContext('2d') as CanvasRenderingContext2D;
    const colours = ['#ff0000', '#00ff00', '#0000ff', '#102030', '#ffffff', '#000000'];
    colours.forEach((c, i) => {
      draw.fillStyle = c;
      draw.fillRect(i, 0, 1, 1);
    });
    // biome-ignore lint/suspicious/noExplicitAny: an array of the library
    const values = async (x: any): Promise<unknown> => [x.shape, x.dtype, [...(await x.data())]];
    const blob = (type: string): Promise<Blob> =>
      new Promise((resolve) => canvas.toBlob((b) => resolve(b as Blob), type, 1));
    const png = await blob('image/png');
    const img = new Image();
    img.src = URL.createObjectURL(png);
    await img.decode();
    const frame = new VideoFrame(canvas, { timestamp: 0 });
    const bitmap = await createImageBitmap(canvas);
    const back = document.createElement('canvas');
    const x = image.fromPixels(canvas);
    await image.toCanvas(x.astype('float32').div(255).transpose([2, 0, 1]), back);
    const offscreen = new OffscreenCanvas(1, 1);
    await image.toCanvas(x, offscreen);
    const out = {
      canvas: await values(x),
      gray: await values(image.fromPixels(canvas, { channels: 1, dtype: 'float32' })),
      img: await values(image.fromPixels(img)),
      bitmap: await values(image.fromPixels(bitmap)),
      frame: await values(image.fromPixels(frame)),
      back: await values(image.fromPixels(back)),
      offscreen: await values(image.fromPixels(offscreen)),
      png: await values(await image.imread(png)),
      url: await values(await image.imread(img.src)),
      jpeg: (await image.imread(await blob('image/jpeg'))).shape,
      webp: (await image.imread(await blob('image/webp'))).shape,
      short: image.resizeShort(x, 4).shape,
      bad: await image
        .imread(new Blob([new Uint8Array([0xff, 0xd8, 0xff, 0, 0])]))
        .catch((e: Error) => e.message),
      none: nd !== undefined,
    };
    frame.close();
    return out;
  });
  const expected = [
    [1, 6, 3],
    'uint8',
    [255, 0, 0, 0, 255, 0, 0, 0, 255, 16, 32, 48, 255, 255, 255, 0, 0, 0],
  ];
  for (const name of ['canvas', 'img', 'bitmap', 'frame', 'back', 'offscreen', 'png', 'url'] as const)
    expect([name, result[name]]).toEqual([name, expected]);
  expect(result.gray).toEqual([[1, 6, 1], 'float32', [76, 150, 29, 29, 255, 0]]);
  expect([result.jpeg, result.webp, result.short]).toEqual([
    [1, 6, 3],
    [1, 6, 3],
    [4, 24, 3],
  ]);
  expect(result.bad).toMatch(
    /^\[image.imread\] expected a picture that can be decoded, received a JPEG file .*It is damaged/,
  );
});

test('a loop in a worker lets messages in', async ({ page }) => {
  await page.goto('/e2e/pages/bare.html');
  const steps = await page.evaluate(async () => {
    const code = `
      const { gluon } = await import(${JSON.stringify(new URL('/dist/webgluon.js', location.href).href)});
      let stopped = false;
      onmessage = () => { stopped = true; };
      let steps = 0;
      postMessage('begun');
      for await (const _ of new gluon.data.DataLoader(new Float32Array(5000), 1)) {
        const until = performance.now() + 1;
        while (performance.now() < until);
        steps++;
        if (stopped) break;
      }
      postMessage(steps);`;
    const worker = new Worker(URL.createObjectURL(new Blob([code], { type: 'text/javascript' })), {
      type: 'module',
    });
    return new Promise<number>((resolve, reject) => {
      worker.onerror = (e) => reject(new Error(e.message));
      worker.onmessage = ({ data }) => {
        if (data === 'begun') setTimeout(() => worker.postMessage('stop'), 200);
        else {
          worker.terminate();
          resolve(data as number);
        }
      };
    });
  });
  expect(steps).toBeGreaterThan(10);
  expect(steps).toBeLessThan(4000);
});
