// dist/webgluon.d.ts and dist/types/: the declarations that index.ts reaches, as TypeScript writes them. They are not
// rolled into one file: that loses type parameters and merged declarations of what a namespace exports.
// The entry names the libs that a consumer's own `lib` may lack.
import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join, relative, resolve, sep } from 'node:path';
import { isMain, REPORTS, ROOT, tool } from './report.mjs';

const LIBS = ['esnext.disposable'];
// `… from './x.ts'`, `import './x.ts'`, `import('./x.ts')`, `declare module './x.ts'`.
const SPECIFIER = /(\bfrom\s*|\bimport\s*\(?\s*|\bdeclare\s+module\s+)(['"])([^'"\n]+)\2/g;

/** Declarations without their comments' examples, which may hold imports too. */
const withoutComments = (text) => text.replace(/\/\*[\s\S]*?\*\//g, '');

/**
 * The files that a declaration file reaches, itself included, and the packages they name.
 * @param {string} entry
 */
export function reachable(entry) {
  const files = new Set();
  const packages = new Map();
  const open = [entry];
  for (let file = open.pop(); file !== undefined; file = open.pop()) {
    if (files.has(file)) continue;
    files.add(file);
    for (const [, , , specifier] of withoutComments(readFileSync(file, 'utf8')).matchAll(SPECIFIER)) {
      if (!specifier.startsWith('.')) {
        packages.set(specifier, file);
        continue;
      }
      const next = resolve(dirname(file), specifier.replace(/\.[jt]s$/, '.d.ts'));
      if (!existsSync(next))
        throw new Error(`${relative(ROOT, file)} imports ${specifier}, which has no declarations.`);
      open.push(next);
    }
  }
  return { files: [...files].sort(), packages };
}

async function build() {
  const emitted = join(REPORTS, 'types');
  const dist = join(ROOT, 'dist');
  rmSync(emitted, { recursive: true, force: true });
  rmSync(join(dist, 'types'), { recursive: true, force: true });
  const status = await tool('tsc', ['-p', 'tsconfig.build.json']);
  if (status !== 0) return status;

  const { files, packages } = reachable(join(emitted, 'index.d.ts'));
  for (const [name, file] of packages)
    process.stderr.write(`types: ${relative(emitted, file)} imports ${name}\n`);
  if (packages.size > 0) return 1;
  for (const file of files) {
    const out = join(dist, 'types', relative(emitted, file));
    mkdirSync(dirname(out), { recursive: true });
    // Sources import each other as `./x.ts`; a consumer finds `./x.d.ts` behind `./x.js`.
    const text = readFileSync(file, 'utf8').replace(SPECIFIER, (all, before, quote, specifier) =>
      specifier.startsWith('.') ? `${before}${quote}${specifier.replace(/\.ts$/, '.js')}${quote}` : all,
    );
    writeFileSync(out, text);
  }
  const references = LIBS.map((lib) => `/// <reference lib="${lib}" />\n`).join('');
  writeFileSync(join(dist, 'webgluon.d.ts'), `${references}export * from './types/index.js';\n`);
  process.stdout.write(`types: ${files.length} declaration files in dist${sep}types\n`);
  return 0;
}

if (isMain(import.meta.url)) process.exitCode = await build();
