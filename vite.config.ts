// Three builds of one source: the library (`--mode library`), the worker of its threads (`--mode worker`: one file that
// imports nothing, so that it also starts from a blob), and the site with the demo (any other mode).
import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { defineConfig, type UserConfig } from 'vite';
import { mnist, namespaces, pure, wgsl } from './scripts/vite-plugins.mjs';

const root = fileURLToPath(new URL('.', import.meta.url));
const source = join(root, 'src');
const dist = join(root, 'dist');

/** Class names are printed (Gluon's repr, errors), so they survive; notes for bundlers survive for shaking. */
const smallest = {
  minify: {
    compress: { target: 'es2023', keepNames: { class: true, function: false } },
    mangle: { toplevel: true, keepNames: { class: true, function: false } },
    codegen: { removeWhitespace: true },
  },
  comments: { legal: true, annotation: true, jsdoc: false },
} as const;

function library(): UserConfig {
  const entry = join(source, 'index.ts');
  const { plugin, codeSplitting } = namespaces({
    source,
    entry,
    below: { kernels: /^device\/cpu\/wasm\/binaries\.ts$/ },
    above: {
      arena: /^gluon\/optimizer\/(arena|pack)\.ts$/,
      compiler: /^(graph|gluon\/compiled)\/|^device\/cpu\/replay\.ts$|^autograd\/through\.ts$/,
      drawing: /^viz\//,
      pictures: /^nd\/image\/(canvas|convert|imread)\.ts$/,
    },
    lazy: {
      files: /^formats\/|^gluon\/(loading|stateFile)\.ts$/,
      openAdapter: /^device\/gpu\/(opening|openAdapter)\.ts$/,
      threads: /^device\/cpu\/threads\//,
    },
  });
  return {
    publicDir: false,
    plugins: [wgsl(), pure({ source }), plugin],
    build: {
      target: 'es2023',
      outDir: dist,
      emptyOutDir: true,
      sourcemap: true,
      minify: 'oxc',
      modulePreload: false,
      assetsInlineLimit: 0,
      lib: { entry: { webgluon: entry }, formats: ['es'] },
      rolldownOptions: {
        external: /^node:/,
        output: {
          entryFileNames: '[name].js',
          chunkFileNames: 'chunks/[name].js',
          assetFileNames: 'assets/[name][extname]',
          codeSplitting,
          ...smallest,
        },
      },
    },
  };
}

function worker(): UserConfig {
  return {
    publicDir: false,
    plugins: [wgsl()],
    build: {
      target: 'es2023',
      outDir: dist,
      emptyOutDir: false,
      sourcemap: true,
      minify: 'oxc',
      lib: { entry: { worker: join(source, 'worker.ts') }, formats: ['es'], fileName: () => 'worker.js' },
      rolldownOptions: { external: /^node:/, output: { codeSplitting: false, ...smallest } },
    },
  };
}

function site(): UserConfig {
  const pages = readdirSync(root).filter((name) => name.endsWith('.html'));
  const demoData = join(root, 'demo', 'public');
  return {
    base: './',
    publicDir: existsSync(demoData) ? demoData : false,
    resolve: { alias: { webgluon: join(source, 'index.ts') } },
    plugins: [wgsl(), mnist({ cache: join(root, 'node_modules', '.cache', 'webgluon-mnist') })],
    worker: { format: 'es', plugins: () => [wgsl()] },
    server: { headers: isolation },
    build: {
      target: 'es2023',
      outDir: join(root, 'dist-site'),
      emptyOutDir: true,
      sourcemap: true,
      // A page's policy may forbid inline scripts and data: URLs.
      assetsInlineLimit: 0,
      modulePreload: { polyfill: false },
      rolldownOptions: { input: pages.map((name) => join(root, name)), external: /^node:/ },
    },
  };
}

/** Shared memory, and so threads, needs a page isolated from others. */
const isolation = {
  'Cross-Origin-Opener-Policy': 'same-origin',
  'Cross-Origin-Embedder-Policy': 'require-corp',
};

export default defineConfig(({ mode }) => {
  if (mode === 'library') return library();
  if (mode === 'worker') return worker();
  return site();
});
