// Checks of what `npm publish` would send, on a packed copy that a consumer has installed:
// what lies in it, what tools for packages say, its types, its imports, how it runs in Node, what a bundler shakes out.
// Needs a built library. Writes reports/package.json; prints sizes.
import { execFileSync, spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join, relative, resolve, sep } from 'node:path';
import { gzipSync } from 'node:zlib';
import { build, parseSync, Visitor } from 'vite';
import { bundle, gzipBytes, judge, loadedBy, measure, PAGES } from './package-bytes.mjs';
import { isMain, REPORTS, ROOT } from './report.mjs';

const manifest = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8'));
const consumer = join(REPORTS, 'consumer');
const installed = join(consumer, 'node_modules', manifest.name);
const bin = (name) => join(ROOT, 'node_modules', '.bin', name);

/** Runs a command to its end; throws with what it printed when it fails. */
function command(file, args, cwd = ROOT) {
  const { status, stdout, stderr, error } = spawnSync(file, args, {
    cwd,
    encoding: 'utf8',
    timeout: 180_000,
    maxBuffer: 64 * 2 ** 20,
  });
  if (error) throw error;
  if (status !== 0) throw new Error(`${relative(ROOT, file) || file} ${args.join(' ')}\n${stdout}${stderr}`);
  return stdout;
}

const filesIn = (folder) =>
  readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => relative(folder, join(entry.parentPath, entry.name)).split(sep).join('/'))
    .sort();

const scripts = () => filesIn(join(installed, 'dist')).filter((file) => file.endsWith('.js'));
const read = (file) => readFileSync(join(installed, 'dist', file), 'utf8');

/** What a built module imports, and what of it a policy without `unsafe-eval` would refuse. */
function inspect(file) {
  const { program, errors } = parseSync(file, read(file), { lang: 'js' });
  if (errors.length > 0) throw new Error(`${file}: ${errors[0].message}`);
  const fixed = [];
  const lazy = [];
  const refused = [];
  const literal = (node) => {
    if (node.type === 'Literal') return node.value;
    if (node.type === 'TemplateLiteral' && node.expressions.length === 0) return node.quasis[0].value.cooked;
    return undefined;
  };
  const statement = (node) => {
    if (node.source) fixed.push(node.source.value);
  };
  new Visitor({
    ImportDeclaration: statement,
    ExportNamedDeclaration: statement,
    ExportAllDeclaration: statement,
    ImportExpression: (node) => {
      const specifier = literal(node.source);
      if (specifier !== undefined) lazy.push(specifier);
    },
    CallExpression: (node) => {
      if (node.callee.type === 'Identifier' && ['eval', 'Function'].includes(node.callee.name)) {
        refused.push(node.callee.name);
      }
    },
    NewExpression: (node) => {
      if (node.callee.type === 'Identifier' && node.callee.name === 'Function') refused.push('new Function');
    },
  }).visit(program);
  return { fixed, lazy, refused };
}

const checks = [];
const check = (name, body) => checks.push({ name, body });

check('npm pack holds the library and nothing else', () => {
  rmSync(consumer, { recursive: true, force: true });
  mkdirSync(installed, { recursive: true });
  const [packed] = JSON.parse(
    execFileSync('npm', ['pack', '--json', '--ignore-scripts', '--pack-destination', consumer], {
      cwd: ROOT,
      encoding: 'utf8',
      stdio: ['ignore', 'pipe', 'ignore'],
    }),
  );
  execFileSync('tar', ['-xzf', join(consumer, packed.filename), '-C', installed, '--strip-components=1']);
  writeFileSync(join(consumer, 'package.json'), '{ "private": true, "type": "module" }\n');

  const files = packed.files.map((file) => file.path);
  const top = ['package.json', 'README.md', 'LICENSE', 'CHANGELOG.md'];
  const strange = files.filter(
    (file) => !top.includes(file) && !/^dist\/.*\.(js|js\.map|d\.ts|wasm)$/.test(file),
  );
  if (strange.length > 0) throw new Error(`it also holds ${strange.join(', ')}`);
  const wanted = [...top, 'dist/webgluon.js', 'dist/webgluon.d.ts'];
  if (existsSync(join(ROOT, 'src/worker.ts'))) wanted.push('dist/worker.js');
  const missing = wanted.filter((file) => !files.includes(file));
  if (missing.length > 0) throw new Error(`it lacks ${missing.join(', ')}`);
  if (Object.keys(manifest.dependencies ?? {}).length > 0) throw new Error('it has runtime dependencies');
  return `${files.length} files, ${kilobytes(packed.size)} packed, ${kilobytes(packed.unpackedSize)} unpacked`;
});

check('publint', () => {
  command(bin('publint'), ['run', '--strict', '--pack', 'npm', ROOT]);
});

check('are the types wrong?', () => {
  // ESM only; the worker is started by URL and has no types.
  const tarball = readdirSync(consumer).find((file) => file.endsWith('.tgz'));
  const args = [join(consumer, tarball), '--profile', 'esm-only', '--exclude-entrypoints', './worker.js'];
  command(bin('attw'), [...args, '--no-emoji', '--no-color']);
});

check('imports are relative and exist, in no circle; nothing needs eval', () => {
  const problems = [];
  const below = new Map();
  for (const file of scripts()) {
    const { fixed, lazy, refused } = inspect(file);
    for (const word of refused) problems.push(`${file} uses ${word}`);
    for (const specifier of [...fixed, ...lazy]) {
      if (/^\.\.?\//.test(specifier)) {
        if (!existsSync(resolve(installed, 'dist', dirname(file), specifier))) {
          problems.push(`${file} imports ${specifier}, which is not in the package`);
        }
      } else if (!(lazy.includes(specifier) && !fixed.includes(specifier) && specifier.startsWith('node:'))) {
        problems.push(`${file} imports ${specifier}, which a page cannot resolve; hide it from bundlers`);
      }
    }
    if (file === 'worker.js' && fixed.length + lazy.length > 0)
      problems.push('worker.js imports other files');
    below.set(
      file,
      fixed.map((specifier) => join(dirname(file), specifier)),
    );
  }
  // what is above core is imported by none of core's
  const reached = (file, seen = new Set()) => {
    for (const next of below.get(file) ?? []) if (!seen.has(next)) reached(next, seen.add(next));
    return seen;
  };
  for (const file of below.keys())
    if (reached(file).has(file)) problems.push(`${file} imports itself, by way of others`);
  if (problems.length > 0) throw new Error(problems.join('\n'));
  return `${scripts().length} modules`;
});

for (const [compiler, tsc] of [
  ['TypeScript 7', 'tsc'],
  ['TypeScript 6', 'tsc6'],
]) {
  for (const [module, moduleResolution] of [
    ['esnext', 'bundler'],
    ['nodenext', 'nodenext'],
  ]) {
    check(`types for a consumer: ${compiler}, ${moduleResolution}, skipLibCheck false`, () => {
      writeFileSync(join(consumer, 'types.ts'), readFileSync(join(ROOT, 'e2e/consumer/types.ts')));
      const compilerOptions = {
        target: 'es2022',
        lib: ['es2022', 'dom'],
        module,
        moduleResolution,
        types: [],
        strict: true,
        noUncheckedIndexedAccess: true,
        exactOptionalPropertyTypes: true,
        skipLibCheck: false,
        noEmit: true,
      };
      const file = join(consumer, 'tsconfig.json');
      writeFileSync(file, JSON.stringify({ compilerOptions, files: ['types.ts'] }));
      command(bin(tsc), ['-p', file], consumer);
    });
  }
}

check('Node imports it, computes and ends by itself', () => {
  const program = `
    import * as webgluon from 'webgluon';
    import manifest from 'webgluon/package.json' with { type: 'json' };
    const { nd } = webgluon;
    const x = nd.array([[1, 2], [3, 4.5]]);
    console.log(String(x), (await x.add(1).data()).join(' '), manifest.version);
    const { gluon, nn, profile, viz } = webgluon;
    const net = new nn.HybridSequential();
    net.add(new nn.Dense(2, { activation: 'relu' }));
    net.initialize();
    net.hybridize();
    await net.warmup([[2, 2]]);
    const step = gluon.compileStep((x) => x.add(1));
    const { kernels } = await profile(() => [net(x), step(x), step(x)]);
    console.log(kernels.length > 0, /relu/.test(net.graph(x)), viz.plotNetwork(net, [2, 2]).slice(0, 4), net.cacheInfo().hits);
  `;
  writeFileSync(join(consumer, 'run.mjs'), program);
  const printed = command(process.execPath, ['--no-warnings', 'run.mjs'], consumer).trim();
  const expected = `[[1.  2. ]\n [3.  4.5]]\n<NDArray 2x2 @cpu(0)> 2 3 4 5.5 ${manifest.version}\ntrue true <svg 1`;
  if (printed !== expected) throw new Error(`expected\n${expected}\nreceived\n${printed}`);
});

check('a bundler shakes out what is not used', async () => {
  const shaken = async (name, code) => {
    writeFileSync(join(consumer, `${name}.mjs`), code);
    const warnings = [];
    const outDir = join(consumer, name);
    await build({
      configFile: false,
      root: consumer,
      logLevel: 'silent',
      build: {
        outDir,
        emptyOutDir: true,
        target: 'es2022',
        // Names have to be there to be looked for.
        minify: false,
        lib: { entry: join(consumer, `${name}.mjs`), formats: ['es'], fileName: 'app' },
        rolldownOptions: { onLog: (level, log) => level === 'warn' && warnings.push(log.message) },
      },
    });
    if (warnings.length > 0) throw new Error(`bundling warns: ${warnings.join('\n')}`);
    const files = readdirSync(outDir, { recursive: true }).filter((file) => /\.m?js$/.test(String(file)));
    const text = files.map((file) => readFileSync(join(outDir, String(file)), 'utf8')).join('\n');
    const entry = files.map(String).find((file) => file.startsWith('app.'));
    return { text, entry: join(outDir, entry) };
  };
  const all = await shaken('all', `import * as webgluon from 'webgluon'; console.log(webgluon);`);
  const some = await shaken(
    'some',
    `import { nd } from 'webgluon'; console.log(String(nd.array([1, 2]).add(1)));`,
  );
  const printed = command(process.execPath, [some.entry], consumer).trim();
  if (printed !== '[2. 3.]\n<NDArray 2 @cpu(0)>') throw new Error(`the bundle prints ${printed}`);
  const one = await shaken('one', `import { nn } from 'webgluon'; console.log(String(new nn.Dense(2)));`);
  const carries = ({ text }, layer) => new RegExp(`\\bclass ${layer}\\b|\\b${layer} = class\\b`).test(text);
  for (const layer of ['Dense', 'Conv3DTranspose']) {
    if (!carries(all, layer)) throw new Error(`the bundle of everything lacks ${layer}`);
    if (carries(some, layer)) throw new Error(`an app of nd alone carries ${layer}`);
  }
  if (!carries(one, 'Dense')) throw new Error('an app of nn.Dense lacks it');
  if (carries(one, 'Conv3DTranspose')) throw new Error('an app of nn.Dense carries Conv3DTranspose');
  const size = ({ text }) => kilobytes(gzipSync(text).length);
  return `gzip: everything ${size(all)}, an app of nn.Dense ${size(one)}, of nd ${size(some)}`;
});

/** A page of e2e/consumer, bundled. Gives its module. */
function bundled(name) {
  const app = join(consumer, `${name}.mjs`);
  writeFileSync(app, readFileSync(join(ROOT, `e2e/consumer/${name}.mjs`)));
  return bundle(app, join(consumer, `${name}-page`));
}

check('what pages load stays within its budget', async () => {
  const dist = join(installed, 'dist');
  const eager = loadedBy(join(dist, 'webgluon.js'));
  const rows = scripts().map((file) => {
    const text = read(file);
    return `    ${eager.has(join(dist, file)) ? 'at once' : 'lazy   '} ${kilobytes(text.length).padStart(10)} ${kilobytes(gzipBytes(text)).padStart(10)} gzip  ${file}`;
  });
  process.stdout.write(`${rows.join('\n')}\n`);
  const bundles = {};
  for (const [name, file] of Object.entries(PAGES)) {
    bundles[name] = await bundled(file);
    // a bundle that does not train is small for nothing
    const { losses } = JSON.parse(command(process.execPath, [bundles[name]], consumer));
    if (!(losses.at(-1) < losses[0])) throw new Error(`${file} does not learn: its losses are ${losses}`);
  }
  return judge(measure(dist, bundles)).join('\n       ');
});

check('a page that names nothing of what compiles loads the compiler when it hybridizes', async () => {
  // a text of each of its parts, which no minifier changes
  const parts = [
    'is traced within a trace',
    'a Block whose forward may do anything',
    'the program is disposed of',
  ];
  const carries = (files) =>
    parts.filter((text) => [...files].some((file) => readFileSync(file, 'utf8').includes(text)));
  const entry = await bundled('hybridizeLater');
  const files = filesIn(dirname(entry)).filter((file) => file.endsWith('.js'));
  const all = carries(files.map((file) => join(dirname(entry), file)));
  if (all.length < parts.length)
    throw new Error(`of the compiler the bundle only holds “${all.join('”, “')}”`);
  for (const page of [entry, join(consumer, 'lenet-page', 'app.js')]) {
    const early = carries(loadedBy(page));
    if (early.length > 0)
      throw new Error(`${relative(consumer, page)} holds “${early.join('”, “')}” at once`);
  }
  const { eager, later, infos } = JSON.parse(command(process.execPath, [entry], consumer));
  if (String(later) !== String(eager)) throw new Error(`losses ${later}, eagerly ${eager}`);
  const [asked, called, ...warm] = infos.map(({ hits, misses, eager: why }) => `${hits} ${misses} ${why}`);
  if (!asked.endsWith('being loaded') || called !== asked)
    throw new Error(`before warmup: ${asked}, ${called}`);
  if (warm.join() !== '1 0 null,2 0 null,3 0 null') throw new Error(`after warmup: ${warm}`);
});

function kilobytes(bytes) {
  return `${(bytes / 1000).toFixed(1)} kB`;
}

/** Runs all checks; the results in order. */
export async function checkPackage() {
  const results = [];
  for (const { name, body } of checks) {
    const started = performance.now();
    let [ok, detail] = [true, ''];
    try {
      detail = (await body()) ?? '';
    } catch (error) {
      ok = false;
      detail = error instanceof Error ? error.message : String(error);
    }
    const ms = Math.round(performance.now() - started);
    process.stdout.write(
      `${ok ? 'ok    ' : 'FAILED'} package: ${name} (${ms} ms)${detail ? `\n       ${detail}` : ''}\n`,
    );
    results.push({ name, ok, ms, detail });
  }
  return results;
}

if (isMain(import.meta.url)) {
  const results = await checkPackage();
  writeFileSync(join(REPORTS, 'package.json'), `${JSON.stringify(results, null, 2)}\n`);
  const failed = results.filter(({ ok }) => !ok).length;
  process.stdout.write(`package: ${results.length - failed} passed, ${failed} failed\n`);
  process.exitCode = failed > 0 ? 1 : 0;
}
