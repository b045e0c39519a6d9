// What pages load of the packed library, in bytes after gzip, and the most they may: pages that train LeNet, bundled and shaken by vite, and a page without a
// bundler, which loads the entry with all its static imports. Wasm and shaders lie in these files; the threads' worker and what comes by `import()`
// (GPU, readers of files, threads; the compiler, where a page names nothing of what compiles) are apart.
import { readFileSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { gzipSync } from 'node:zlib';
import { build, parseSync, Visitor } from 'vite';

/** The pages that are bundled: what budgets call them, and their files in e2e/consumer. */
export const PAGES = {
  'a page that trains LeNet': 'lenet',
  'one with a DataLoader': 'lenetLoader',
  'one that trains it in compiled steps': 'lenetCompiled',
};
const PLAIN = 'the library without a bundler';
const onGpu = (name) => `${name}, on a GPU`;

/** The most bytes: what was reached, and 2 % for the day's work; the first is the project's goal. To raise one of them is a decision, not a repair. */
export const BUDGETS = {
  'a page that trains LeNet': 100_000,
  'a page that trains LeNet, on a GPU': 158_000,
  'one with a DataLoader': 106_000,
  'one with a DataLoader, on a GPU': 163_000,
  'one that trains it in compiled steps': 138_000,
  'one that trains it in compiled steps, on a GPU': 196_000,
  'the library without a bundler': 177_000,
  'the library without a bundler, on a GPU': 235_000,
};

/** What a module of JavaScript imports: at once, and by `import()`. */
function importsOf(file) {
  const { program } = parseSync(file, readFileSync(file, 'utf8'), { lang: 'js' });
  const [fixed, lazy] = [[], []];
  const statement = (node) => {
    if (node.source) fixed.push(node.source.value);
  };
  new Visitor({
    ImportDeclaration: statement,
    ExportNamedDeclaration: statement,
    ExportAllDeclaration: statement,
    ImportExpression: ({ source }) => {
      const text = source.type === 'TemplateLiteral' ? source.quasis[0].value.cooked : source.value;
      if (typeof text === 'string' && /^\.\.?\//.test(text)) lazy.push(text);
    },
  }).visit(program);
  const here = (list) =>
    list.filter((text) => text.startsWith('.')).map((text) => resolve(dirname(file), text));
  return { fixed: here(fixed), lazy: here(lazy) };
}

/** An entry with its static imports, theirs, and so on. */
export function loadedBy(...entries) {
  const files = new Set();
  const open = [...entries];
  for (let file = open.pop(); file !== undefined; file = open.pop()) {
    if (files.has(file)) continue;
    files.add(file);
    open.push(...importsOf(file).fixed);
  }
  return files;
}

/** As servers send it; the note that names the source map is for developers' tools and left out. */
export function gzipBytes(text) {
  return gzipSync(text.replace(/\n\/\/# sourceMappingURL=\S*\s*$/, '')).length;
}

const total = (files) => [...files].reduce((sum, file) => sum + gzipBytes(readFileSync(file, 'utf8')), 0);

/** The files that come by `import()` when a GPU is opened: what finds one, and then the device. */
function gpuParts(files) {
  const lazy = (from, name) =>
    [...from].flatMap((file) => importsOf(file).lazy.filter((to) => name.test(to)));
  const finding = new Set(lazy(files, /\/openAdapter\b[^/]*\.js$/));
  const parts = [...finding, ...new Set(lazy(finding, /\/gpuDevice\b[^/]*\.js$/))];
  if (parts.length !== 2) throw new Error(`expected two parts for GPUs, found ${parts.join(', ') || 'none'}`);
  return parts;
}

/**
 * Bundles a page as a consumer would. Gives the page's module.
 * @param {string} app the page's source, in a folder from which `webgluon` resolves
 * @param {string} outDir where the bundle goes
 */
export async function bundle(app, outDir) {
  await build({
    configFile: false,
    root: dirname(app),
    logLevel: 'silent',
    build: {
      outDir,
      emptyOutDir: true,
      target: 'es2023',
      modulePreload: false,
      rolldownOptions: { input: app, output: { entryFileNames: 'app.js' } },
    },
  });
  return join(outDir, 'app.js');
}

/**
 * @param {string} dist the installed library's folder
 * @param {Record<string, string>} bundles the bundled page of each of `PAGES`
 */
export function measure(dist, bundles) {
  const measured = {};
  for (const [name, entry] of [...Object.entries(bundles), [PLAIN, join(dist, 'webgluon.js')]]) {
    const files = loadedBy(entry);
    measured[name] = total(files);
    measured[onGpu(name)] = total(loadedBy(...files, ...gpuParts(files)));
  }
  return measured;
}

/** Throws where something is over its budget, or has none. */
export function judge(measured, budgets = BUDGETS) {
  const kB = (bytes) => `${(bytes / 1000).toFixed(1)} kB`;
  const over = Object.entries(measured).filter(([name, bytes]) => !(bytes <= budgets[name]));
  if (over.length > 0)
    throw new Error(
      over.map(([name, bytes]) => `${name}: ${kB(bytes)} gzip, at most ${kB(budgets[name])}`).join('\n'),
    );
  return Object.entries(measured).map(([name, bytes]) => `${name} ${kB(bytes)} of ${kB(budgets[name])}`);
}
