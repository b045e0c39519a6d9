// The built library in a real page: every group of operations and every layer on WebGPU against the CPU, the tutorial's digits, MXNet's LeNet.
import { readFileSync } from 'node:fs';
import { expect, test } from '@playwright/test';
import ts from 'typescript';

interface Library {
  readonly [name: string]: unknown;
}

test('operations and layers agree on both devices', async ({ page }) => {
  await page.goto('/e2e/pages/bare.html');
  const { count, failures } = await page.evaluate(async () => {
    const at = (path: string): Promise<unknown> => import(path);
    const { compare } = (await at('/e2e/pages/cases.js')) as {
      compare(library: Library): Promise<{ count: number; failures: string[] }>;
    };
    return compare((await at('/dist/webgluon.js')) as Library);
  });
  expect(failures).toEqual([]);
  expect(count).toBeGreaterThan(150);
});

test('the whole tutorial prints its digits in a page', async ({ page }) => {
  const printed: string[] = [];
  page.on('console', (message) => printed.push(message.text()));
  await page.goto('/e2e/pages/bare.html');
  await expect(page.locator('#worker')).toHaveAttribute('data-done', 'true');
  printed.length = 0;
  const example = readFileSync('examples/crash-course-2.ts', 'utf8');
  const { outputText } = ts.transpileModule(example, {
    compilerOptions: { target: ts.ScriptTarget.ESNext, module: ts.ModuleKind.ESNext },
  });
  const content = outputText.replace("'webgluon'", "'/dist/webgluon.js'");
  expect(content).toContain('/dist/webgluon.js');
  await page.addScriptTag({ type: 'module', content: `${content}\nconsole.log('done');` });
  await expect.poll(() => printed.at(-1), { timeout: 30_000 }).toBe('done');
  // a browser's console leaves out the blanks that Node's has within brackets
  const expected = readFileSync('test-data/crash-course-2.txt', 'utf8').replace(/^\[ (.*) \]$/gm, (line) =>
    line.replaceAll('[ ', '[').replaceAll(' ]', ']'),
  );
  expect(`${printed.slice(0, -1).join('\n')}\n`).toBe(expected);
});

for (const device of ['cpu', 'gpu']) {
  test(`MXNet's LeNet gets 801 of 900 pictures right on the ${device}`, async ({ page }) => {
    await page.goto('/e2e/pages/bare.html');
    const result = await page.evaluate(async (kind) => {
      const at = (path: string): Promise<unknown> => import(path);
      // biome-ignore lint/suspicious/noExplicitAny: the built library, without types in this page
      const { nd, nn, cpu, openGpu, memoryInfo } = (await at('/dist/webgluon.js')) as any;
      const ctx = kind === 'cpu' ? cpu() : await openGpu({ allowSoftware: true });
      const unpacked = async (name: string): Promise<Uint8Array<ArrayBuffer>> => {
        const response = await fetch(`/test-data/crash-course/${name}`);
        const stream = (response.body as ReadableStream<Uint8Array<ArrayBuffer>>).pipeThrough(
          new DecompressionStream('gzip'),
        );
        return new Uint8Array(await new Response(stream).arrayBuffer());
      };
      const images = (await unpacked('fashion-sprite-images-idx3-ubyte.gz')).subarray(16);
      const labels = (await unpacked('fashion-sprite-labels-idx1-ubyte.gz')).subarray(8);
      const net = new nn.Sequential();
      net.add(
        new nn.Conv2D(6, 5, { activation: 'relu' }),
        new nn.MaxPool2D(2, 2),
        new nn.Conv2D(16, 3, { activation: 'relu' }),
        new nn.MaxPool2D(2, 2),
        new nn.Flatten(),
        new nn.Dense(120, { activation: 'relu' }),
        new nn.Dense(84, { activation: 'relu' }),
        new nn.Dense(10),
      );
      await net.loadParameters('/test-data/crash-course/lenet-fashionmnist.params', { ctx });
      const x = nd.array(images, { shape: [900, 1, 28, 28], ctx });
      const normal = x.div(255).sub(0.13).div(0.31);
      let right = 0;
      let first: number[] = [];
      const own: number[] = [];
      for (let from = 0; from < 900; from += 100) {
        const scores = net(normal.sliceAxis(0, from, from + 100));
        const { bytesInUse, userBytes } = memoryInfo(ctx);
        own.push(bytesInUse - userBytes);
        if (from === 0) first = [...(await scores.data()).subarray(0, 10)];
        const said = await scores.argmax(1).data();
        right += said.filter((c: number, i: number) => c === labels[from + i]).length;
      }
      return { right, first, own };
    }, device);
    const expected = JSON.parse(readFileSync('test-data/crash-course/lenet-expected.json', 'utf8')) as {
      readonly correct_of_900: number;
      readonly logits_tile0: readonly number[];
    };
    expect(result.right).toBe(expected.correct_of_900);
    expect(result.first).toHaveLength(10);
    for (const [i, v] of result.first.entries())
      expect(Math.abs(v - (expected.logits_tile0[i] as number))).toBeLessThan(1e-4);
    expect(new Set(result.own).size).toBe(1);
  });
}
