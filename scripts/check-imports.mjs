// Imports in src go down only, in no circle, and name nothing but files of ours. Types count like values: an upward
// type is an upward thought. Tests stand on the roof and may import anything; nobody imports a test.
// The floors are those of docs/architecture.md; ALLOWED holds the exceptions, each with its reason.
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { dirname, join, relative, resolve, sep } from 'node:path';
import { parseSync, Visitor } from 'vite';
import { isMain, ROOT } from './report.mjs';

/** From the ground up. Folders in one row are neighbours and leave each other alone. */
export const FLOORS = [
  ['core'],
  ['ir', 'formats'],
  ['device'],
  ['array'],
  ['ops'],
  ['autograd'],
  ['graph'],
  ['nd'],
  ['gluon'],
  ['io', 'viz'],
  ['.'], // index.ts and whatever else lies in src itself
];

/** @type {readonly { from: string, to: string, kind: 'type' | 'lazy', why: string }[]} */
export const ALLOWED = [
  { from: 'array', to: 'nd', kind: 'type', why: 'NDArray names the methods that nd attaches to it' },
];

/** `x.test.ts`, and what tests share: `testDevice.ts`. */
const isTest = (file) => /\.test\.ts$|(^|\/)test[A-Z]\w*\.ts$/.test(file);

/** @returns {{ specifier: string, kind: 'value' | 'type' | 'lazy', line: number }[]} what a file imports. */
export function importsOf(file, text) {
  const { program, errors } = parseSync(file, text, { lang: 'ts' });
  if (errors.length > 0) throw new Error(`${file}: ${errors[0].message}`);
  const found = [];
  const add = (node, source, kind) => {
    if (!source) return;
    const line = text.slice(0, node.start).split('\n').length;
    found.push({ specifier: typeof source.value === 'string' ? source.value : undefined, kind, line });
  };
  // `import { type A }` counts as a value: without its names the import itself stays and runs the file.
  const kindOf = (node, of) => (node[of] === 'type' ? 'type' : 'value');
  new Visitor({
    ImportDeclaration: (node) => add(node, node.source, kindOf(node, 'importKind')),
    ExportNamedDeclaration: (node) => add(node, node.source, kindOf(node, 'exportKind')),
    ExportAllDeclaration: (node) => add(node, node.source, kindOf(node, 'exportKind')),
    ImportExpression: (node) => {
      // An expression that is no literal is what hides an import from bundlers, on purpose.
      if (node.source.type === 'Literal') add(node, node.source, 'lazy');
    },
    TSImportType: (node) => add(node, node.source ?? node.argument?.literal ?? node.argument, 'type'),
    TSModuleDeclaration: (node) => {
      if (node.id.type === 'Literal' && node.id.value.startsWith('.')) add(node, node.id, 'type');
    },
  }).visit(program);
  return found;
}

const folderOf = (file) => (file.includes('/') ? file.slice(0, file.indexOf('/')) : '.');
const floorOf = (file) => FLOORS.findIndex((row) => row.includes(folderOf(file)));

function allowed(from, to, kind) {
  return ALLOWED.some(
    (edge) => edge.from === folderOf(from) && edge.to === folderOf(to) && edge.kind === kind,
  );
}

/** Every circle once, as the list of its files. */
function circles(edges) {
  const found = [];
  const state = new Map();
  const path = [];
  const visit = (file) => {
    state.set(file, 'open');
    path.push(file);
    for (const next of [...(edges.get(file) ?? [])].sort()) {
      if (state.get(next) === 'open') found.push([...path.slice(path.indexOf(next)), next]);
      else if (!state.has(next)) visit(next);
    }
    path.pop();
    state.set(file, 'done');
  };
  for (const file of [...edges.keys()].sort()) if (!state.has(file)) visit(file);
  return found;
}

/**
 * @param {string} source the folder of the sources
 * @returns {{ files: number, imports: number, problems: string[] }}
 */
export function checkImports(source) {
  const problems = [];
  const edges = new Map();
  let imports = 0;
  const files = readdirSync(source, { recursive: true })
    .map((entry) => String(entry).split(sep).join('/'))
    // the CPU's kernels are AssemblyScript, another language in files of the same name
    .filter(
      (file) => file.endsWith('.ts') && !file.endsWith('.d.ts') && !file.startsWith('device/cpu/kernels/'),
    )
    .sort();
  for (const file of files) {
    const roof = isTest(file);
    if (!roof && floorOf(file) < 0) problems.push(`${file}: the folder ${folderOf(file)} has no floor`);
    edges.set(file, new Set());
    for (const { specifier, kind, line } of importsOf(file, readFileSync(join(source, file), 'utf8'))) {
      const at = `${file}:${line}`;
      imports++;
      if (specifier === undefined) continue;
      if (!specifier.startsWith('.')) {
        const hidden = kind === 'type' || (kind === 'lazy' && specifier.startsWith('node:'));
        if (!roof && !hidden) problems.push(`${at} imports the package ${specifier}; the library has none`);
        continue;
      }
      const path = resolve(source, dirname(file), specifier.replace(/\?raw$/, ''));
      if (!existsSync(path)) {
        problems.push(`${at} imports ${specifier}, which does not exist`);
        continue;
      }
      const target = relative(source, path).split(sep).join('/');
      if (!/\.(ts)$/.test(target) || target.startsWith('..')) {
        if (!roof && !target.endsWith('.wgsl') && !target.endsWith('.json')) {
          problems.push(`${at} imports ${specifier}, which is no source of the library`);
        }
        continue;
      }
      if (roof) continue;
      if (isTest(target)) problems.push(`${at} imports ${target}, which is there for tests`);
      if (allowed(file, target, kind)) continue;
      const [mine, theirs] = [floorOf(file), floorOf(target)];
      if (mine < 0 || theirs < 0) continue;
      if (theirs > mine)
        problems.push(`${at} imports upward: ${folderOf(file)} → ${folderOf(target)} (${target}, ${kind})`);
      else if (theirs === mine && folderOf(file) !== folderOf(target)) {
        problems.push(
          `${at} imports its neighbour: ${folderOf(file)} → ${folderOf(target)} (${target}, ${kind})`,
        );
      }
      if (kind !== 'lazy') edges.get(file).add(target);
    }
  }
  for (const circle of circles(edges)) problems.push(`imports in a circle: ${circle.join(' → ')}`);
  return { files: files.length, imports, problems };
}

if (isMain(import.meta.url)) {
  const { files, imports, problems } = checkImports(join(ROOT, 'src'));
  for (const problem of problems) process.stderr.write(`${problem}\n`);
  process.stdout.write(`imports: ${files} files, ${imports} imports, ${problems.length} problems\n`);
  process.exitCode = problems.length > 0 || files === 0 ? 1 : 0;
}
