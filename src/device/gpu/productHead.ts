// From a product's variant to the whole text of its shaders: the generated head (types, sizes, constants, bindings, holes, store) and the body from
// shaders/. What stands in the head and what in a body: docs in the bodies' first lines. Which variant a call takes is product.ts's.

import tiledSource from '../../../shaders/product.wgsl?raw';
import blockSource from '../../../shaders/product_block.wgsl?raw';
import directSource from '../../../shaders/product_direct.wgsl?raw';
import dotSource from '../../../shaders/product_dot.wgsl?raw';
import finishSource from '../../../shaders/product_finish.wgsl?raw';
import type { DType } from '../../core/dtype.ts';
import type { Expr } from '../../ir/expr.ts';
import type { ExtraShape } from '../../ir/kernel.ts';
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
/** The parameters of the second pass; the epilogue's scalars follow. `end`: the count, and where there are row sums these as well, from a multiple of four on. */
const FINISH_SIZES = [
  'count',
  'parts',
  'stride',
  'gridX',
  'biasEvery',
  'biasCount',
  'rowEvery',
  'rowCount',
  'columns',
  'end',
  'rows',
] as const;
type FinishSize = (typeof FINISH_SIZES)[number];
/** Invocations of a workgroup of the second pass. */
export const FINISH_THREADS = 64;

/** What follows the sum. */
export interface Ending {
  readonly bias: 'none' | 'm' | 'n';
  readonly biasType: DType;
  readonly epilogue: Expr | null;
  /** The epilogue's inputs after the sum, of the output's dtype. */
  readonly extras: readonly ExtraShape[];
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
  /** The sums of A's rows are a second output, or with parts a second scratch memory. */
  readonly rowSum: boolean;
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

/**
 * `fn ended(v, bias, extras …) -> vec4<T>`: the bias and the extras, one for each of the four, and the epilogue; its scalars begin at parameter
 * `firstScalar`.
 */
function endedText(ending: Ending, type: WgslType, firstScalar: number): string {
  const sum = ending.bias === 'none' ? 'v' : '(v + bias)';
  const names = ending.extras.map((_, i) => `e${i + 1}`);
  const parameters = ['v', ...(ending.bias === 'none' ? [] : ['bias']), ...names];
  const signature = `fn ended(${parameters.map((name) => `${name}: vec4<T>`).join(', ')}) -> vec4<T>`;
  if (ending.epilogue === null) return `${signature} { return ${sum}; }\n`;
  const lines: string[] = [];
  const result = emitExpr(
    ending.epilogue,
    {
      type,
      input: (index) => (index === 0 ? 'x' : `e${index}`),
      scalar: (index) =>
        type === 'f32' ? `pf(${firstScalar + index}u)` : `${type}(pf(${firstScalar + index}u))`,
    },
    lines,
  );
  const lanes = ['x', 'y', 'z', 'w'].map(
    (lane) => `epilogue(${['s', ...names].map((name) => `${name}.${lane}`).join(', ')})`,
  );
  return `fn epilogue(${['x', ...names].map((name) => `${name}: T`).join(', ')}) -> T {
${lines.map((line) => `  ${line}\n`).join('')}  return ${result};
}
${signature} {
  let s = ${sum};
  return vec4<T>(${lanes.join(', ')});
}
`;
}

const four = (read: string, at: (lane: number) => string): string =>
  `vec4<T>(${[0, 1, 2, 3].map((lane) => `${read}(${at(lane)})`).join(', ')})`;
const plus = (at: string, lane: number): string => (lane === 0 ? at : `${at} + ${lane}u`);

/** Whether an extra is read four elements at a time where C is stored so. */
function readsFour(extra: ExtraShape, traits: ProductTraits): boolean {
  return extra === 'full' && traits.cVec4;
}

/** The four elements of extra `i` beside the four of C from row m and `column` on. */
function extraText(extra: ExtraShape, i: number, traits: ProductTraits): string {
  const read = `readE${i + 1}`;
  switch (extra) {
    case 'full':
      if (traits.strided)
        return traits.cVec4
          ? `${read}4((slice.batch * slice.m + m) * slice.n + column.n)`
          : four(read, (lane) => plus('(slice.batch * slice.m + m) * slice.n + column.n', lane));
      return traits.cVec4
        ? `${read}4(base + column.at)`
        : four(read, (lane) => `base + column.at.${'xyzw'.charAt(lane)}`);
    case 'm':
      return `vec4<T>(${read}(slice.bias + m))`;
    case 'n':
      return four(read, (lane) => plus('column.n', lane));
    case 'one':
      return `vec4<T>(${read}(0u))`;
  }
}

/** `fn store(slice, m, at, v)`: one row's four sums to C, or to scratch memory. */
function storeText(v: ProductVariant, stride: string): string {
  const { traits, ending } = v;
  const lines = [`let base = slice.c + m * ${stride};`];
  if (ending === null) lines.push('let w = v;');
  else {
    const given = ['v'];
    if (ending.bias === 'm') given.push('vec4<T>(readBias(slice.bias + m))');
    if (ending.bias === 'n') given.push(four('readBias', (lane) => plus('column.n', lane)));
    ending.extras.forEach((extra, i) => void given.push(extraText(extra, i, traits)));
    lines.push(`let w = ended(${given.join(', ')});`);
  }
  if (traits.cVec4) lines.push('putC4(base + column.at, w);');
  else {
    lines.push('let at = vec4<u32>(base) + column.at;', 'putC(at.x, w.x);');
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

/** `fn storeRowSum(slice, m, sum)`: the sum of one of A's rows, to bindings from `index` on. */
function rowSumText(v: ProductVariant, index: number): string {
  const known = `const ROW_SUM = ${v.rowSum};\n`;
  if (!v.rowSum) return `${known}fn storeRowSum(slice: Slice, m: u32, sum: T) {}\n`;
  const parts = v.ending === null;
  const element = parts ? 'T' : 'f32';
  return `${known}@group(0) @binding(${index}) var<storage, read_write> bufferR: array<${element}>;
fn storeRowSum(slice: Slice, m: u32, sum: T) { if (m < slice.m) { bufferR[slice.rowSums + m] = ${element}(sum); } }
`;
}

const BODIES = { tiled: tiledSource, direct: directSource, dot: dotSource } as const;

/** The names of the parameters, in their order. */
export function productSizes(v: Pick<ProductVariant, 'sizeNames'>): readonly string[] {
  return [...COMMON_SIZES, ...v.sizeNames];
}

/** The WGSL of a product. Bindings: A, B, the bias if its ending has one, extras, C (or scratch memory), and where the sums of A's rows go. */
export function productCode(v: ProductVariant): string {
  const { plan, traits, type, ending, rowSum } = v;
  const names = productSizes(v);
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
  const extras = ending?.extras ?? [];
  const firstExtra = withBias ? 3 : 2;
  const last = firstExtra + extras.length;
  const output = ending === null ? partialType(type) : ending.output;
  const batched = traits.strided && extras.includes('full');
  const head = [
    paramsDeclaration(last + (rowSum ? 2 : 1)),
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
    ...extras.map((extra, i) => reader(firstExtra + i, `E${i + 1}`, output, type, readsFour(extra, traits))),
    writer(last, output, type, traits.cVec4),
    `// One of the products that lie side by side: where its operands begin, which part of k is summed, and the sizes that loads need.
struct Slice {
  a: u32,
  b: u32,
  c: u32,
  bias: u32,
  kFrom: u32,
  kTo: u32,
${rowSum ? '  rowSums: u32,\n' : ''}${batched ? '  batch: u32,\n' : ''}${[...used].map((name) => `  ${name}: u32,\n`).join('')}}
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
${rowSum ? `  slice.rowSums = product * slice.m + part * ${parameter('rows')};\n` : ''}${batched ? '  slice.batch = batch;\n' : ''}  return slice;
}
`,
    holes,
    ending === null ? '' : endedText(ending, type, names.length),
    store,
    plan.body === 'dot' ? '' : rowSumText(v, last + 1),
    plan.body === 'dot' ? '' : madText(type),
  ].join('');
  const code = `${head}${blockSource}${BODIES[plan.body]}`;
  return code + mathFor(head);
}

/**
 * The WGSL of the second pass. Bindings: scratch memory, that of row sums, the bias if there is one, extras, C, and where row sums go. An invocation beyond the
 * outputs' end adds up row sums.
 */
export function finishCode(ending: Ending, type: WgslType, rowSum: boolean): string {
  const withBias = ending.bias !== 'none';
  const size = (name: FinishSize): string => `pu(${FINISH_SIZES.indexOf(name)}u)`;
  const first = rowSum ? 2 : 1;
  const firstExtra = first + (withBias ? 1 : 0);
  const last = firstExtra + ending.extras.length;
  const given = ['sum'];
  const each = (read: string, place: (at: string) => string): string =>
    four(read, (lane) => place(lane === 0 ? 'at' : `(at + ${lane}u)`));
  if (withBias) given.push(each('readBias', (at) => `${at} / ${size('biasEvery')} % ${size('biasCount')}`));
  ending.extras.forEach((extra, i) => {
    const read = `readE${i + 1}`;
    if (extra === 'one') given.push(`vec4<T>(${read}(0u))`);
    else if (extra === 'full') given.push(each(read, (at) => at));
    else if (extra === 'n') given.push(each(read, (at) => `${at} % ${size('columns')}`));
    else given.push(each(read, (at) => `${at} / ${size('rowEvery')} % ${size('rowCount')}`));
  });
  const put = storesSingly(ending.output)
    ? `  putC(at, w.x);
  if (at + 1u < ${size('count')}) { putC(at + 1u, w.y); }
  if (at + 2u < ${size('count')}) { putC(at + 2u, w.z); }
  if (at + 3u < ${size('count')}) { putC(at + 3u, w.w); }
`
    : `  putWords(at, w, ${size('count')});\n`;
  const rowsFrom = `(${size('count')} + 3u) / 4u * 4u`;
  const head = [
    paramsDeclaration(last + (rowSum ? 2 : 1)),
    `alias T = ${type};\n`,
    constants({ THREADS: FINISH_THREADS }),
    ...[
      ['finishEnd', rowSum ? 'end' : 'count'],
      ['finishParts', 'parts'],
      ['gridX', 'gridX'],
    ].map(([name, of]) => `fn ${name}() -> u32 { return ${size(of as FinishSize)}; }\n`),
    reader(0, 'Parts', partialType(type), type, true),
    rowSum ? reader(1, 'Rows', partialType(type), type, false) : '',
    withBias ? reader(first, 'Bias', ending.biasType, type, false) : '',
    ...ending.extras.map((_, i) => reader(firstExtra + i, `E${i + 1}`, ending.output, type, false)),
    storesSingly(ending.output)
      ? writer(last, ending.output, type, false)
      : wordWriter(last, ending.output, type),
    rowSum ? `@group(0) @binding(${last + 1}) var<storage, read_write> bufferR: array<f32>;\n` : '',
    endedText(ending, type, FINISH_SIZES.length),
    `fn partial(at: u32, part: u32) -> vec4<T> {
${rowSum ? `  if (at >= ${rowsFrom}) {\n    let row = at - ${rowsFrom} + part * ${size('rows')};\n    return ${four('readRows', (lane) => plus('row', lane))};\n  }\n` : ''}  return readParts4(at + part * ${size('stride')});
}
fn put(at: u32, sum: vec4<T>) {
${rowSum ? `  if (at >= ${rowsFrom}) {\n    let row = at - ${rowsFrom};\n${[0, 1, 2, 3].map((lane) => `    if (${plus('row', lane)} < ${size('rows')}) { bufferR[${plus('row', lane)}] = f32(sum.${'xyzw'.charAt(lane)}); }\n`).join('')}    return;\n  }\n` : ''}  let w = ended(${given.join(', ')});
${put}}
`,
  ].join('');
  return `${head}${finishSource}${mathFor(head)}`;
}
