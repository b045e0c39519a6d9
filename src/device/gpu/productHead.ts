// From a product's variant to the whole text of its shaders: the generated head (types, sizes, constants, bindings, holes, store) and the body from
// shaders/. What stands in the head and what in a body: docs in the bodies' first lines. Which variant a call takes is product.ts's.

import tiledSource from '../../../shaders/product.wgsl?raw';
import blockSource from '../../../shaders/product_block.wgsl?raw';
import directSource from '../../../shaders/product_direct.wgsl?raw';
import dotSource from '../../../shaders/product_dot.wgsl?raw';
import finishSource from '../../../shaders/product_finish.wgsl?raw';
import type { DType } from '../../core/dtype.ts';
import type { Expr } from '../../ir/expr.ts';
import { paramsDeclaration } from './lowering.ts';
import { mathFor } from './mathLibrary.ts';
import { reader, storesSingly, wordWriter, writer } from './productElements.ts';
import type { ProductTraits } from './productHoles.ts';
import { productHoles, rowStride } from './productHoles.ts';
import type { ProductPlan } from './productPlan.ts';
import type { WgslType } from './wgslExpr.ts';
import { emitExpr } from './wgslExpr.ts';

/** The parameters that every product takes first, in this order; the form's own sizes follow, then the epilogue's scalars. */
const COMMON_SIZES = [
  'm',
  'n',
  'k',
  'tilesM',
  'tilesN',
  'tileCount',
  'gridX',
  'zGroups',
  'splits',
  'chunk',
  'partStride',
] as const;
/** The parameters of the second pass; the epilogue's scalars follow. */
const FINISH_SIZES = ['count', 'parts', 'stride', 'gridX', 'biasEvery', 'biasCount'] as const;
/** Invocations of a workgroup of the second pass. */
export const FINISH_THREADS = 64;

/** What follows the sum. */
export interface Ending {
  readonly bias: 'none' | 'm' | 'n';
  readonly biasType: DType;
  readonly epilogue: Expr | null;
  readonly output: DType;
}

/** All that a product's shader depends on. */
export interface ProductVariant {
  readonly traits: ProductTraits;
  readonly plan: Pick<ProductPlan, 'body' | 'rows' | 'cols' | 'threadsM' | 'threadsN' | 'step' | 'stages'>;
  /** The numbers it computes in. */
  readonly type: WgslType;
  readonly a: DType;
  readonly b: DType;
  /** null: sums go to scratch memory as they are, in parts, and a second pass ends the product. */
  readonly ending: Ending | null;
  /** Names of the form's sizes, in the order of their parameters. */
  readonly sizeNames: readonly string[];
  /** Sizes that are constants in the text. In eager mode these are a convolution's window; all of them, where shapes never change. */
  readonly fixed: ReadonlyMap<string, number>;
}

/** The dtype of scratch sums. */
function partialType(type: WgslType): DType {
  return type === 'f32' ? 'float32' : type === 'i32' ? 'int32' : 'uint32';
}

function constants(values: Readonly<Record<string, number | boolean>>): string {
  return Object.entries(values)
    .map(([name, value]) => `const ${name} = ${typeof value === 'number' ? `${value}u` : value};\n`)
    .join('');
}

function madText(type: WgslType): string {
  const product = type === 'f32' ? 'fma(vec4<T>(a), b, c)' : 'a * b + c';
  return `fn mad(a: T, b: vec4<T>, c: vec4<T>) -> vec4<T> { return ${product}; }\n`;
}

/** `fn ended(v, bias) -> vec4<T>`: the bias, one for each of the four, and the epilogue; its scalars begin at parameter `firstScalar`. */
function endedText(ending: Ending, type: WgslType, firstScalar: number): string {
  const sum = ending.bias === 'none' ? 'v' : '(v + bias)';
  const bias = ending.bias === 'none' ? '' : ', bias: vec4<T>';
  if (ending.epilogue === null) return `fn ended(v: vec4<T>${bias}) -> vec4<T> { return ${sum}; }\n`;
  const lines: string[] = [];
  const result = emitExpr(
    ending.epilogue,
    {
      type,
      input: () => 'x',
      scalar: (index) =>
        type === 'f32' ? `pf(${firstScalar + index}u)` : `${type}(pf(${firstScalar + index}u))`,
    },
    lines,
  );
  return `fn epilogue(x: T) -> T {
${lines.map((line) => `  ${line}\n`).join('')}  return ${result};
}
fn ended(v: vec4<T>${bias}) -> vec4<T> {
  let s = ${sum};
  return vec4<T>(epilogue(s.x), epilogue(s.y), epilogue(s.z), epilogue(s.w));
}
`;
}

/** `fn store(slice, m, at, v)`: one row's four sums to C, or to scratch memory. */
function storeText(v: ProductVariant, stride: string): string {
  const { traits, ending } = v;
  const lines: string[] = [];
  if (ending === null) lines.push('let w = v;');
  else if (ending.bias === 'none') lines.push('let w = ended(v);');
  else if (ending.bias === 'm') lines.push('let w = ended(v, vec4<T>(readBias(slice.bias + m)));');
  else
    lines.push(
      'let w = ended(v, vec4<T>(readBias(column.n), readBias(column.n + 1u), readBias(column.n + 2u), readBias(column.n + 3u)));',
    );
  const base = `slice.c + m * ${stride}`;
  if (traits.cVec4) lines.push(`putC4(${base} + column.at, w);`);
  else {
    lines.push(`let at = vec4<u32>(${base}) + column.at;`, 'putC(at.x, w.x);');
    ['y', 'z', 'w'].forEach((lane, i) => {
      const put = `putC(at.${lane}, w.${lane});`;
      lines.push(traits.exactC ? put : `if (column.n + ${i + 1}u < slice.n) { ${put} }`);
    });
  }
  const body = lines.map((line) => `  ${line}\n`).join('');
  return `fn store(slice: Slice, m: u32, column: ColC, v: vec4<T>) {
${traits.exactC ? '' : '  if (m >= slice.m || column.n >= slice.n) { return; }\n'}${body}}
`;
}

const BODIES = { tiled: tiledSource, direct: directSource, dot: dotSource } as const;

/** The WGSL of a product. Bindings: A, B, the bias if its ending has one, C (or scratch memory). */
export function productCode(v: ProductVariant): string {
  const { plan, traits, type, ending } = v;
  const names = [...COMMON_SIZES, ...v.sizeNames];
  const used = new Set<string>(['m', 'n', 'k']);
  /** The one place that decides whether a size is a constant or a parameter; parameters are read once per invocation, into `slice`. */
  const size = (name: string): string => {
    const value = v.fixed.get(name);
    if (value !== undefined) return `${value}u`;
    used.add(name);
    return `slice.${name}`;
  };
  const parameter = (name: string): string => {
    const value = v.fixed.get(name);
    return value === undefined ? `pu(${names.indexOf(name)}u)` : `${value}u`;
  };
  const { text: holes, offsets } = productHoles(traits, size);
  const store = storeText(v, rowStride(traits, size));
  const withBias = ending !== null && ending.bias !== 'none';
  const last = withBias ? 3 : 2;
  const output = ending === null ? partialType(type) : ending.output;
  const head = [
    paramsDeclaration(last + 1),
    `alias T = ${type};\n`,
    constants({ A_ALONG_K: traits.aAlong === 'k', B_ALONG_K: traits.bAlong === 'k' }),
    plan.body === 'tiled'
      ? constants({
          BM: plan.rows,
          BN: plan.cols,
          BK: plan.step,
          ROW_QUADS: plan.rows / plan.threadsM / 4,
          COL_QUADS: plan.cols / plan.threadsN / 4,
          THREADS_M: plan.threadsM,
          THREADS_N: plan.threadsN,
          STAGES: plan.stages,
        })
      : constants({ ROWS: plan.rows, COLS: plan.cols, THREADS: plan.threadsN }),
    ...['tilesM', 'tilesN', 'tileCount', 'gridX'].map(
      (name) => `fn ${name}() -> u32 { return ${parameter(name)}; }\n`,
    ),
    reader(0, 'A', v.a, type, traits.aVec4),
    reader(1, 'B', v.b, type, traits.bVec4),
    withBias ? reader(2, 'Bias', ending.biasType, type, false) : '',
    writer(last, output, type, traits.cVec4),
    `// One of the products that lie side by side: where its operands begin, which part of k is summed, and the sizes that loads need.
struct Slice {
  a: u32,
  b: u32,
  c: u32,
  bias: u32,
  kFrom: u32,
  kTo: u32,
${[...used].map((name) => `  ${name}: u32,\n`).join('')}}
fn sliceOf(z: u32) -> Slice {
  var slice: Slice;
${[...used].map((name) => `  slice.${name} = ${parameter(name)};\n`).join('')}  let part = z % ${parameter('splits')};
  let product = z / ${parameter('splits')};
  let group = product % ${parameter('zGroups')};
  let batch = product / ${parameter('zGroups')};
  slice.a = ${offsets.a};
  slice.b = ${offsets.b};
  slice.c = ${offsets.c} + part * ${parameter('partStride')};
  slice.bias = ${offsets.bias};
  slice.kFrom = part * ${parameter('chunk')};
  slice.kTo = min(slice.k, slice.kFrom + ${parameter('chunk')});
  return slice;
}
`,
    holes,
    ending === null ? '' : endedText(ending, type, names.length),
    store,
    plan.body === 'dot' ? '' : madText(type),
  ].join('');
  const code = `${head}${blockSource}${BODIES[plan.body]}`;
  return code + mathFor(head);
}

/** The WGSL of the second pass. Bindings: scratch memory, the bias if there is one, C. */
export function finishCode(ending: Ending, type: WgslType): string {
  const withBias = ending.bias !== 'none';
  const last = withBias ? 2 : 1;
  const bias = withBias
    ? `, vec4<T>(${[0, 1, 2, 3].map((i) => `readBias((at + ${i}u) / pu(4u) % pu(5u))`).join(', ')})`
    : '';
  const put = storesSingly(ending.output)
    ? `  putC(at, w.x);
  if (at + 1u < pu(0u)) { putC(at + 1u, w.y); }
  if (at + 2u < pu(0u)) { putC(at + 2u, w.z); }
  if (at + 3u < pu(0u)) { putC(at + 3u, w.w); }
`
    : '  putWords(at, w, pu(0u));\n';
  const head = [
    paramsDeclaration(last + 1),
    `alias T = ${type};\n`,
    constants({ THREADS: FINISH_THREADS }),
    ...[
      ['finishCount', 0],
      ['finishParts', 1],
      ['finishStride', 2],
      ['gridX', 3],
    ].map(([name, index]) => `fn ${name}() -> u32 { return pu(${index}u); }\n`),
    reader(0, 'Parts', partialType(type), type, true),
    withBias ? reader(1, 'Bias', ending.biasType, type, false) : '',
    storesSingly(ending.output)
      ? writer(last, ending.output, type, false)
      : wordWriter(last, ending.output, type),
    endedText(ending, type, FINISH_SIZES.length),
    'fn partial(at: u32) -> vec4<T> { return readParts4(at); }\n',
    `fn put(at: u32, sum: vec4<T>) {
  let w = ended(sum${bias});
${put}}
`,
  ].join('');
  return `${head}${finishSource}${mathFor(head)}`;
}
