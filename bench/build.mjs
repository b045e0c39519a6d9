// Builds what the benchmark runs into dist-bench/ (ignored by git): the library from the sources as they are now, built as the package is, but apart from
// dist/; the page with the contenders; the start-up pages, one a library, as small as a bundler makes them; bench/gpu.mjs as one file.
import { existsSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { build } from 'vite';
import { isMain, ROOT } from '../scripts/report.mjs';

export const OUT = join(ROOT, 'dist-bench');
const LIBRARY = join(OUT, 'webgluon');
const entry = join(LIBRARY, 'webgluon.js');

/** The start-up pages: libraries by what they do in them. */
export const STARTUPS = {
  forward: [
    'webgluon-cpu',
    'webgluon-gpu',
    'tfjs-wasm',
    'tfjs-cpu',
    'tfjs-webgpu',
    'ort-wasm',
    'ort-webgpu',
    'jax-wasm',
    'jax-webgpu',
  ],
  train: ['webgluon-cpu', 'webgluon-gpu', 'tfjs-cpu', 'tfjs-webgpu', 'jax-wasm', 'jax-webgpu'],
};

export async function buildLibrary() {
  const config = { root: ROOT, configFile: join(ROOT, 'vite.config.ts'), logLevel: 'error' };
  await build({ ...config, mode: 'library', build: { outDir: LIBRARY, emptyOutDir: true } });
  if (existsSync(join(ROOT, 'src', 'worker.ts')))
    await build({ ...config, mode: 'worker', build: { outDir: LIBRARY, emptyOutDir: false } });
}

/** A bundle of pages. The peers' WebAssembly stays where npm put it and is served from there. */
const bundle = (name, input, { minify, define = {}, external = [], output = {} }) =>
  build({
    root: ROOT,
    configFile: false,
    logLevel: 'error',
    publicDir: false,
    define,
    resolve: {
      alias: external.includes('webgluon') ? {} : { webgluon: entry },
      conditions: ['onnxruntime-web-use-extern-wasm', 'module', 'browser', 'production', 'default'],
    },
    build: {
      target: 'es2023',
      outDir: join(OUT, name),
      emptyOutDir: true,
      minify,
      modulePreload: false,
      assetsInlineLimit: 0,
      chunkSizeWarningLimit: 1e5,
      rolldownOptions: {
        input,
        external: [/^node:/, ...external],
        output: { entryFileNames: '[name].js', chunkFileNames: 'chunks/[name]-[hash].js', ...output },
      },
    },
  });

const html = (script, map = '') =>
  `<!doctype html>\n<meta charset="utf-8">\n<title>loading</title>\n<link rel="icon" href="data:,">\n${map}<script type="module" src="${script}"></script>\n`;

export async function buildPages() {
  // the library is imported as a page without a bundler would, so that its worker lies beside it
  await bundle('page', { page: join(ROOT, 'bench/page.mjs') }, { minify: false, external: ['webgluon'] });
  const map = '<script type="importmap">{"imports":{"webgluon":"/webgluon/webgluon.js"}}</script>\n';
  writeFileSync(join(OUT, 'page', 'index.html'), html('./page.js', map));
}

/** One page for each library, backend and purpose. */
export async function buildStartups(wanted = () => true) {
  for (const [what, names] of Object.entries(STARTUPS))
    for (const name of names.filter(wanted)) {
      const [library, backend] = name.split('-');
      const folder = `startup/${what}/${name}`;
      const define = { __TRAIN__: String(what === 'train'), __BACKEND__: JSON.stringify(backend) };
      // the wasm backend's workers start from text that must keep its `typeof`: its README, “JS Minification”
      const output = name === 'tfjs-wasm' ? { minify: { compress: false, mangle: true, codegen: true } } : {};
      const input = { start: join(ROOT, `bench/startup/${library}.mjs`) };
      await bundle(folder, input, { minify: 'oxc', define, output });
      writeFileSync(join(OUT, folder, 'index.html'), html('./start.js'));
    }
}

/** bench/gpu.mjs and the library as one file for Node, Dawn (`webgpu`) left to be found beside it. */
export async function buildGpu() {
  await build({
    root: ROOT,
    configFile: false,
    logLevel: 'error',
    publicDir: false,
    resolve: { alias: { webgluon: entry } },
    build: {
      target: 'es2023',
      outDir: join(OUT, 'gpu'),
      emptyOutDir: true,
      minify: false,
      modulePreload: false,
      rolldownOptions: {
        input: join(ROOT, 'bench/gpu.mjs'),
        external: [/^node:/, 'webgpu'],
        output: { format: 'es', entryFileNames: 'gpu.mjs', codeSplitting: false },
      },
    },
  });
}

// `node bench/build.mjs`: only that file
if (isMain(import.meta.url)) {
  await buildLibrary();
  await buildGpu();
  process.stdout.write(`${join('dist-bench', 'gpu', 'gpu.mjs')}\n`);
}
