// The holes of the product's bodies that depend on its form: where elements of A, B and C lie, and which are outside (zero). WGSL text in, for each
// operand, three hoisted layers: per row or column (`rowA`, `colB`), per k (`stepA`, `stepB`), and the load that combines them. A convolution's
// divisions stand in the first two. Loads look whether k is inside, for a product of two elements beyond the end must be 0 even if memory there holds NaN;
// rows and columns beyond the end they read as they come, for these are not stored. Reading and storing by dtype is productElements.ts.
import type { ProductShape } from './productShape.ts';

/** The part of a product's shape that its shader depends on; the rest are parameters. */
export type ProductTraits = Pick<
  ProductShape,
  'form' | 'aAlong' | 'bAlong' | 'aVec4' | 'bVec4' | 'cVec4' | 'axes' | 'padded' | 'pointwise' | 'strided'
> & {
  /** k ends with a whole step, so that loads need not look. */
  readonly exactK: boolean;
  /** Rows and columns are whole tiles, so that stores need not look. */
  readonly exactC: boolean;
};

/** Names a size: as a constant where it is fixed, else as a field of `slice`, which reads it once. */
export type SizeText = (name: string) => string;

/** WGSL of the holes of one form; `offsets` are the fields a, b, c and bias of `slice` for `group` and `batch`. */
export interface Holes {
  readonly text: string;
  readonly offsets: { readonly a: string; readonly b: string; readonly c: string; readonly bias: string };
}

const LANES = 'vec4<u32>(0u, 1u, 2u, 3u)';
/** A coordinate that lies outside of every picture, whatever window offset is added. */
const OUTSIDE = '0x80000000u';
const four = (x: string): string => `vec4<u32>(${x})`;
const guarded = (value: string, inside: string): string =>
  inside === '' ? value : `select(vec4<T>(), ${value}, ${inside})`;
const scalars = (read: string, at: string): string =>
  `vec4<T>(${['x', 'y', 'z', 'w'].map((lane) => `${read}(${at}.${lane})`).join(', ')})`;

/** What tells A's holes from B's. */
interface Side {
  readonly operand: 'A' | 'B';
  /** RowA and rowA, or ColB and colB. */
  readonly line: 'RowA' | 'ColB';
  readonly make: 'rowA' | 'colB';
  readonly base: 'slice.a' | 'slice.b';
  readonly outer: 'm' | 'n';
}
const SIDE_A: Side = { operand: 'A', line: 'RowA', make: 'rowA', base: 'slice.a', outer: 'm' };
const SIDE_B: Side = { operand: 'B', line: 'ColB', make: 'colB', base: 'slice.b', outer: 'n' };

/** The load's signature: A takes (row, step), B (step, column). */
function loadSignature({ operand, line }: Side): string {
  return operand === 'A'
    ? `fn loadA(slice: Slice, line: ${line}, step: StepA) -> vec4<T>`
    : `fn loadB(slice: Slice, step: StepB, line: ${line}) -> vec4<T>`;
}

/** `stepX` and `loadX` of an operand along k, whose step knows the place of four k (`at`) and the line's where it begins. */
function loadAlongK(side: Side, vec4: boolean, at: string, exactK: boolean): string {
  const { operand } = side;
  const inside = exactK ? '' : 'step.inside';
  if (vec4)
    return `struct Step${operand} { at: u32, inside: bool }
fn step${operand}(slice: Slice, k: u32) -> Step${operand} { return Step${operand}(${at.replaceAll('K', 'k')}, k < slice.k); }
${loadSignature(side)} {
  return ${guarded(`read${operand}4(line.at + step.at)`, inside)};
}
`;
  return `struct Step${operand} { at: vec4<u32>, inside: vec4<bool> }
fn step${operand}(slice: Slice, k: u32) -> Step${operand} {
  let k4 = ${four('k')} + ${LANES};
  return Step${operand}(${at.replaceAll('K', 'k4')}, k4 < ${four('slice.k')});
}
${loadSignature(side)} {
  let at = ${four('line.at')} + step.at;
  return ${guarded(scalars(`read${operand}`, 'at'), inside)};
}
`;
}

/** `rowA` or `colB` of an operand whose lines are `stride` elements apart. */
function lineText({ line, make, base, outer }: Side, stride: string): string {
  const at = stride === '' ? outer : `${outer} * ${stride}`;
  return `struct ${line} { at: u32 }
fn ${make}(slice: Slice, ${outer}: u32) -> ${line} { return ${line}(${base} + ${at}); }
`;
}

/** An operand that is a matrix in storage; `stride`: elements between its lines (along k) or between two k (along m or n). */
function matrix(side: Side, along: 'k' | 'outer', vec4: boolean, stride: string, exactK: boolean): string {
  if (along === 'k') return lineText(side, stride) + loadAlongK(side, vec4, 'K', exactK);
  const { operand } = side;
  const value = vec4 ? `read${operand}4(line.at + step.at)` : scalars(`read${operand}`, 'at');
  return `${lineText(side, '')}struct Step${operand} { at: u32, inside: bool }
fn step${operand}(slice: Slice, k: u32) -> Step${operand} { return Step${operand}(k * ${stride}, k < slice.k); }
${loadSignature(side)} {
${vec4 ? '' : `  let at = ${four('line.at + step.at')} + ${LANES};\n`}  return ${guarded(value, exactK ? '' : 'step.inside')};
}
`;
}

/** The axes of a picture that matter, outermost first. */
function axisNames(axes: number): readonly ('D' | 'H' | 'W')[] {
  return axes === 3 ? ['D', 'H', 'W'] : axes === 2 ? ['H', 'W'] : ['W'];
}

/**
 * `let` statements that split `from` (of WGSL type `type`) into what is left of it, `rest`, and a coordinate per axis (`PREFIX` + axis).
 * `extent` names an axis's extent.
 */
function split(
  from: string,
  prefix: string,
  rest: string,
  names: readonly string[],
  extent: (axis: string) => string,
  type: 'u32' | 'vec4<u32>',
): string {
  const lines: string[] = [];
  let left = from;
  for (let i = names.length - 1; i >= 0; i--) {
    const axis = names[i] as string;
    const size = type === 'u32' ? extent(axis) : four(extent(axis));
    const next = i === 0 ? rest : `above${axis}`;
    lines.push(`  let ${next} = ${left} / ${size};`, `  let ${prefix}${axis} = ${left} - ${next} * ${size};`);
    left = next;
  }
  return `${lines.join('\n')}\n`;
}

/** A linear index from one coordinate per axis, `((D)·H + H)·W + W`. */
function linear(
  names: readonly string[],
  coordinate: (axis: string) => string,
  extent: (axis: string) => string,
  vector: boolean,
): string {
  return names.slice(1).reduce(
    (text, axis) => {
      const size = vector ? four(extent(axis)) : extent(axis);
      return `(${text}) * ${size} + ${coordinate(axis)}`;
    },
    coordinate(names[0] as string),
  );
}

/** B of `conv` (windows of x) and of `convGradData` (windows of dy, run backwards): four pixels of the output, n, at one channel and window place, k. */
function windows(t: ProductTraits, size: SizeText): string {
  const backwards = t.form === 'convGradData';
  const names = axisNames(t.axes);
  // s: the picture that is read; r: the picture that n runs over
  const s = (axis: string): string => size(`${backwards ? 'o' : 'i'}${axis}`);
  const r = (axis: string): string => size(`${backwards ? 'i' : 'o'}${axis}`);
  const sVolume = size(backwards ? 'oVolume' : 'iVolume');
  const rVolume = size(backwards ? 'iVolume' : 'oVolume');
  const sChannels = size(backwards ? 'filters' : 'channels');
  if (t.bVec4)
    return `struct ColB { at: u32 }
struct StepB { at: u32, inside: bool }
fn colB(slice: Slice, n: u32) -> ColB {
  let image = n / ${rVolume};
  return ColB(slice.b + image * ${sChannels} * ${sVolume} + (n - image * ${rVolume}));
}
fn stepB(slice: Slice, k: u32) -> StepB { return StepB(k * ${sVolume}, k < slice.k); }
fn loadB(slice: Slice, step: StepB, line: ColB) -> vec4<T> {
  return ${guarded('readB4(line.at + step.at)', t.exactK ? '' : 'step.inside')};
}
`;
  const fields = (type: string): string => names.map((axis) => `${axis}: ${type}`).join(', ');
  const starts = backwards
    ? names.map((axis) => `  let z${axis} = p${axis} + ${four(size(`p${axis}`))};`)
    : names.map(
        (axis) => `  let z${axis} = p${axis} * ${four(size(`s${axis}`))} - ${four(size(`p${axis}`))};`,
      );
  const start = backwards ? '' : ` + ${linear(names, (axis) => `z${axis}`, s, true)}`;
  const steps = names.map((axis) => `  let d${axis} = q${axis} * ${size(`d${axis}`)};`);
  const offset = backwards ? '' : ` + ${linear(names, (axis) => `d${axis}`, s, false)}`;
  const checked = t.padded || backwards;
  const load: string[] = [];
  if (backwards) {
    for (const axis of names) {
      const stride = size(`s${axis}`);
      load.push(`  let u${axis} = line.${axis} - ${four(`step.${axis}`)};`);
      if (stride === '1u') load.push(`  let v${axis} = u${axis};`);
      else load.push(`  let v${axis} = u${axis} / ${four(stride)};`);
    }
    load.push(`  let at = line.at + ${four('step.at')} + ${linear(names, (axis) => `v${axis}`, s, true)};`);
  } else {
    if (checked)
      for (const axis of names) load.push(`  let v${axis} = line.${axis} + ${four(`step.${axis}`)};`);
    load.push(`  let at = line.at + ${four('step.at')};`);
  }
  const conditions: string[] = [];
  if (checked)
    for (const axis of names) {
      conditions.push(`(v${axis} < ${four(s(axis))})`);
      if (backwards && size(`s${axis}`) !== '1u')
        conditions.push(`(v${axis} * ${four(size(`s${axis}`))} == u${axis})`);
    }
  if (!t.exactK) conditions.push('vec4<bool>(step.inside)');
  return `struct ColB { at: vec4<u32>, ${fields('vec4<u32>')} }
struct StepB { at: u32, inside: bool, ${fields('u32')} }
fn colB(slice: Slice, n: u32) -> ColB {
  let n4 = ${four('n')} + ${LANES};
${split('n4', 'p', 'image', names, r, 'vec4<u32>')}${starts.join('\n')}
  let at = ${four('slice.b')} + image * ${four(`(${sChannels} * ${sVolume})`)}${start};
  return ColB(at, ${names.map((axis) => `z${axis}`).join(', ')});
}
fn stepB(slice: Slice, k: u32) -> StepB {
${split('k', 'q', 'channel', names, (axis) => size(`k${axis}`), 'u32')}${steps.join('\n')}
  return StepB(channel * ${sVolume}${offset}, k < slice.k, ${names.map((axis) => `d${axis}`).join(', ')});
}
fn loadB(slice: Slice, step: StepB, line: ColB) -> vec4<T> {
${load.join('\n')}
  return ${guarded(scalars('readB', 'at'), conditions.join(' & '))};
}
`;
}

/** A of `convGradData` with windows larger than 1: w seen as (channel, filter · window place). */
function weightsBackwards(t: ProductTraits, size: SizeText): string {
  const kVolume = size('kVolume');
  const at = `K + K / ${four(kVolume)} * ${four(`((${size('cGroup')} - 1u) * ${kVolume})`)}`;
  return lineText(SIDE_A, kVolume) + loadAlongK(SIDE_A, false, at, t.exactK);
}

/** Where element k = image · pixels + pixel of one channel lies, the channels of a picture being between one image and the next. */
function alongPixels(volume: string, channels: string, vec4: boolean): string {
  const gap = `((${channels} - 1u) * ${volume})`;
  return vec4 ? `K + K / ${volume} * ${gap}` : `K + K / ${four(volume)} * ${four(gap)}`;
}

/** A of `convGradWeight`: dy seen as (filter, image · pixel). */
function gradientAlongPixels(t: ProductTraits, size: SizeText): string {
  const volume = size('oVolume');
  return (
    lineText(SIDE_A, volume) +
    loadAlongK(SIDE_A, t.aVec4, alongPixels(volume, size('filters'), t.aVec4), t.exactK)
  );
}

/** B of `convGradWeight`: x seen as (image · pixel of dy, channel · window place), four pixels at a time. */
function windowsAlongPixels(t: ProductTraits, size: SizeText): string {
  const iVolume = size('iVolume');
  if (t.bVec4)
    return (
      lineText(SIDE_B, iVolume) +
      loadAlongK(SIDE_B, true, alongPixels(iVolume, size('channels'), true), t.exactK)
    );
  const names = axisNames(t.axes);
  const i = (axis: string): string => size(`i${axis}`);
  const fields = (type: string): string => names.map((axis) => `${axis}: ${type}`).join(', ');
  const load = t.padded
    ? names.map((axis) => `  let v${axis} = step.${axis} + ${four(`line.${axis}`)};`)
    : [];
  const conditions = t.padded
    ? names.map((axis) => `(v${axis} < ${four(i(axis))})`)
    : t.exactK
      ? []
      : [`(step.W < ${four(i('W'))})`];
  return `struct ColB { at: u32, ${fields('u32')} }
struct StepB { at: vec4<u32>, ${fields('vec4<u32>')} }
fn colB(slice: Slice, n: u32) -> ColB {
${split('n', 'q', 'channel', names, (axis) => size(`k${axis}`), 'u32')}${names
  .map((axis) => `  let z${axis} = q${axis} * ${size(`d${axis}`)} - ${size(`p${axis}`)};`)
  .join('\n')}
  let at = slice.b + channel * ${iVolume} + ${linear(names, (axis) => `z${axis}`, i, false)};
  return ColB(at, ${names.map((axis) => `z${axis}`).join(', ')});
}
fn stepB(slice: Slice, k: u32) -> StepB {
  let k4 = ${four('k')} + ${LANES};
${split('k4', 'p', 'image', names, (axis) => size(`o${axis}`), 'vec4<u32>')}${names
  .map((axis) => `  let z${axis} = p${axis} * ${four(size(`s${axis}`))};`)
  .join('\n')}
  let at = image * ${four(`(${size('channels')} * ${iVolume})`)} + ${linear(names, (axis) => `z${axis}`, i, true)};
  return StepB(at, ${names.map((axis) => (axis === 'W' && !t.exactK ? `select(${four(OUTSIDE)}, zW, k4 < ${four('slice.k')})` : `z${axis}`)).join(', ')});
}
fn loadB(slice: Slice, step: StepB, line: ColB) -> vec4<T> {
${load.join('\n')}
  let at = step.at + ${four('line.at')};
  return ${guarded(scalars('readB', 'at'), conditions.join(' & '))};
}
`;
}

/** `colC`: where four neighbouring columns lie in C, apart from the row; pictures have their channels between them. */
function columns(t: ProductTraits, size: SizeText): string {
  if (t.form === 'matmul' || t.form === 'convGradWeight')
    return t.cVec4
      ? `struct ColC { at: u32, n: u32 }
fn colC(slice: Slice, n: u32) -> ColC { return ColC(n, n); }
`
      : `struct ColC { at: vec4<u32>, n: u32 }
fn colC(slice: Slice, n: u32) -> ColC { return ColC(${four('n')} + ${LANES}, n); }
`;
  const volume = size(t.form === 'conv' ? 'oVolume' : 'iVolume');
  const gap = `(${size(t.form === 'conv' ? 'filters' : 'channels')} - 1u) * ${volume}`;
  return t.cVec4
    ? `struct ColC { at: u32, n: u32 }
fn colC(slice: Slice, n: u32) -> ColC { return ColC(n + n / ${volume} * (${gap}), n); }
`
    : `struct ColC { at: vec4<u32>, n: u32 }
fn colC(slice: Slice, n: u32) -> ColC {
  let n4 = ${four('n')} + ${LANES};
  return ColC(n4 + n4 / ${four(volume)} * ${four(`(${gap})`)}, n);
}
`;
}

/** Elements between two rows of C. */
export function rowStride(t: ProductTraits, size: SizeText): string {
  if (t.strided) return size('cRow');
  if (t.form === 'conv') return size('oVolume');
  return t.form === 'convGradData' ? size('iVolume') : 'slice.n';
}

/** The holes of a product's form. */
export function productHoles(t: ProductTraits, size: SizeText): Holes {
  const product = (...names: readonly string[]): string => names.map(size).join(' * ');
  const colC = columns(t, size);
  switch (t.form) {
    case 'matmul': {
      const aAlongK = t.aAlong === 'k';
      const bAlongK = t.bAlong === 'k';
      const line = (plain: string, strided: string): string => (t.strided ? size(strided) : plain);
      const begin = (each: string, within: string): string =>
        t.strided
          ? `batch / ${size('inner')} * ${size(each)} + batch % ${size('inner')} * ${size(within)}`
          : `batch * ${size(each)}`;
      return {
        text:
          matrix(
            SIDE_A,
            aAlongK ? 'k' : 'outer',
            t.aVec4,
            line(aAlongK ? 'slice.k' : 'slice.m', 'aRow'),
            t.exactK,
          ) +
          matrix(
            SIDE_B,
            bAlongK ? 'k' : 'outer',
            t.bVec4,
            line(bAlongK ? 'slice.k' : 'slice.n', 'bRow'),
            t.exactK,
          ) +
          colC,
        offsets: {
          a: begin('aBatch', 'aInner'),
          b: begin('bBatch', 'bInner'),
          c: t.strided ? begin('cBatch', 'cInner') : 'batch * slice.m * slice.n',
          bias: '0u',
        },
      };
    }
    case 'conv':
      return {
        text: matrix(SIDE_A, 'k', t.aVec4, 'slice.k', t.exactK) + windows(t, size) + colC,
        offsets: {
          a: 'group * slice.m * slice.k',
          b: `group * ${product('cGroup', 'iVolume')}`,
          c: `group * slice.m * ${size('oVolume')}`,
          bias: 'group * slice.m',
        },
      };
    case 'convGradData':
      return {
        text:
          (t.aAlong === 'm'
            ? matrix(SIDE_A, 'outer', t.aVec4, size('cGroup'), t.exactK)
            : weightsBackwards(t, size)) +
          windows(t, size) +
          colC,
        offsets: {
          a: `group * slice.m * slice.k`,
          b: `group * ${product('oGroup', 'oVolume')}`,
          c: `group * slice.m * ${size('iVolume')}`,
          bias: 'group * slice.m',
        },
      };
    case 'convGradWeight':
      return {
        text: gradientAlongPixels(t, size) + windowsAlongPixels(t, size) + colC,
        offsets: {
          a: `group * ${product('oGroup', 'oVolume')}`,
          b: `group * ${product('cGroup', 'iVolume')}`,
          c: 'group * slice.m * slice.n',
          bias: 'group * slice.m',
        },
      };
  }
}
