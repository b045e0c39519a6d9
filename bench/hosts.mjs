// Where contenders run: each in its own page of one Chromium, or in its own Node process. The driver asks one at a time, so only one works at any moment, and none
// shares a heap, a thread pool or a setting with another.
import { fork } from 'node:child_process';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { chromium } from '@playwright/test';
import { ensureBrowser } from '../scripts/find-browser.mjs';
import { ensureVulkan } from '../scripts/find-vulkan.mjs';
import { ROOT } from '../scripts/report.mjs';
import { createSite, listen } from '../scripts/serve.mjs';
import { OUT } from './build.mjs';

/** The longest a single question may take, in ms. */
const PATIENCE = 180_000;

function within(promise, what) {
  let timer;
  const late = new Promise((_, reject) => {
    timer = setTimeout(() => reject(new Error(`${what}: no answer within ${PATIENCE / 1000} s`)), PATIENCE);
  });
  return Promise.race([promise, late]).finally(() => clearTimeout(timer));
}

/** Headers isolate the pages, so threads work; the peers' WebAssembly is served from where npm put it. */
async function site() {
  const modules = join(ROOT, 'node_modules');
  const server = createSite({
    mounts: {
      '/': OUT,
      '/ort/': join(modules, 'onnxruntime-web/dist'),
      '/tfjs-wasm/': join(modules, '@tensorflow/tfjs-backend-wasm/dist'),
    },
  });
  const port = await listen(server, 0, true);
  const close = () => {
    server.close();
    server.closeAllConnections();
  };
  return { base: `http://localhost:${port}/`, close };
}

/** Chromium with the software adapter, or with what GPU the machine has. */
const launch = (realGpu) =>
  chromium.launch({
    executablePath: ensureBrowser(),
    args: [
      '--no-sandbox',
      '--disable-background-networking',
      '--enable-unsafe-webgpu',
      '--enable-features=Vulkan',
      ...(realGpu ? ['--ignore-gpu-blocklist'] : ['--use-webgpu-adapter=swiftshader']),
    ],
  });

/** @param {{ realGpu: boolean }} options */
export async function openChromium({ realGpu }) {
  const { base, close } = await site();
  const browser = await launch(realGpu);
  return {
    place: `Chromium ${browser.version()}`,
    async host(contender) {
      const context = await browser.newContext();
      // a library that asks for the number of cores is told the threads it may have
      if (contender.threads !== undefined)
        await context.addInitScript(
          `Object.defineProperty(navigator, 'hardwareConcurrency', { get: () => ${contender.threads} })`,
        );
      const page = await context.newPage();
      const errors = [];
      page.on('pageerror', (error) => errors.push(error.message));
      await page.goto(`${base}page/`);
      await page.waitForFunction(() => document.title === 'ready');
      const call = (method, ...args) =>
        within(
          page.evaluate(([name, given]) => globalThis.host[name](...given), [method, args]),
          contender.id,
        ).catch((error) => {
          throw errors.length > 0 ? new Error(`${error.message} (in the page: ${errors.at(-1)})`) : error;
        });
      return { call, base, page, close: () => context.close() };
    },
    /** One start-up in a fresh context: ms to the first result, and the addresses of what was loaded. */
    async start(what, name) {
      const context = await browser.newContext();
      try {
        const page = await context.newPage();
        const loaded = new Set();
        const failed = new Promise((_, reject) => {
          page.on('pageerror', reject);
          page.on('crash', () => reject(new Error('the page crashed')));
        });
        failed.catch(() => undefined);
        page.on('response', (response) => {
          if (response.ok() && response.url().startsWith(base)) loaded.add(response.url());
        });
        await page.goto(`${base}startup/${what}/${name}/`);
        const options = { timeout: 60_000 };
        const done = page.waitForFunction(() => globalThis.started?.ms, undefined, options);
        done.catch(() => undefined);
        const ms = await (await Promise.race([done, failed])).jsonValue();
        return { ms, loaded: [...loaded] };
      } finally {
        await context.close();
      }
    },
    async close() {
      await browser.close();
      close();
    },
  };
}

/** Bytes of what a start-up loaded, the page itself apart: as they are, and gzipped as a server would send them. */
export async function bytesOf(addresses) {
  const bytes = { script: 0, wasm: 0, gzip: 0 };
  for (const address of addresses) {
    const response = await fetch(address);
    const type = response.headers.get('content-type') ?? '';
    if (type.startsWith('text/html')) continue;
    const body = new Uint8Array(await response.arrayBuffer());
    bytes[type.includes('wasm') ? 'wasm' : 'script'] += body.length;
    bytes.gzip += gzipSync(body, { level: 9 }).length;
  }
  return bytes;
}

/** Children of this Node. A Vulkan driver's environment must stand before Dawn is loaded. */
export async function openNode() {
  return {
    place: `Node ${process.version}`,
    async host(contender) {
      const env = { ...process.env, ...(contender.device === 'gpu' ? ensureVulkan() : {}) };
      const child = fork(join(ROOT, 'bench/node.mjs'), [], {
        env,
        stdio: ['ignore', 'ignore', 'inherit', 'ipc'],
      });
      let answer;
      child.on('message', ({ value, error }) =>
        error === undefined ? answer.resolve(value) : answer.reject(new Error(error)),
      );
      child.on('exit', (code) => answer?.reject(new Error(`the process ended with ${code}`)));
      const call = (method, ...args) =>
        within(
          new Promise((resolve, reject) => {
            answer = { resolve, reject };
            child.send({ method, args });
          }),
          contender.id,
        );
      return { call, base: undefined, close: async () => child.kill() };
    },
    async close() {},
  };
}
