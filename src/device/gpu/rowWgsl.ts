// The WGSL of row kernels. An agent (an invocation, or a workgroup together) walks along the axis once for each stage; the walk is the same
// text whoever walks: the agent's invocations take every STEP-th place from `lane` on (1 and 0 for a single invocation).
//
// Uniform words: 0 rows, 1 agents per grid row, 2 length, 3 inner, 4 chunk length, 5 chunks, then three strides for each input, then scalars.
import rowBody from '../../../shaders/row.wgsl?raw';
import type { DType } from '../../core/dtype.ts';
import { bytesOf } from '../../core/dtype.ts';
import type { Expr } from '../../ir/expr.ts';
import type { Combine, Stage } from '../../ir/kernel.ts';
import { elementBits, uniformAs, uniformBlock, uniformWord } from './dtypes.ts';
import { mathFor, wgslLibrary } from './mathLibrary.ts';
import type { WgslType } from './wgslExpr.ts';
import { emitExpr, nodesOf, wgslLoadBits } from './wgslExpr.ts';

const groupFor = wgslLibrary(rowBody);

const FIXED_WORDS = 6;
const NOWHERE = '0xffffffffu';

/** What all shaders of one row kernel on given dtypes have in common. */
export interface RowLayout {
  readonly stages: readonly Stage[];
  readonly store: Expr;
  readonly perElement: boolean;
  readonly type: WgslType;
  readonly dtypes: readonly DType[];
  /** WGSL of the bits to store for a result. */
  readonly storeBits: (text: string) => string;
}

export interface AgentLayout {
  readonly agent: 'invocation' | 'workgroup';
  readonly workgroup: number;
}

export function isArg(combine: Combine): boolean {
  return combine === 'argmax' || combine === 'argmin';
}

function identityOf(combine: Combine, type: WgslType): string {
  switch (combine) {
    case 'sum':
      return `${type}(0)`;
    case 'prod':
      return `${type}(1)`;
    case 'max':
    case 'argmax':
      return type === 'f32' ? 'from_bits(0xff800000u)' : type === 'i32' ? '(-2147483647i - 1i)' : '0u';
    case 'min':
    case 'argmin':
      return type === 'f32' ? 'from_bits(0x7f800000u)' : type === 'i32' ? '2147483647i' : '0xffffffffu';
  }
}

const fromBits = (text: string, type: WgslType): string =>
  type === 'u32' ? text : `bitcast<${type}>(${text})`;
const toBits = (text: string, type: WgslType): string => (type === 'u32' ? text : `bitcast<u32>(${text})`);

function indent(lines: readonly string[], by: string): string {
  return lines.map((line) => by + line).join('\n');
}

/** Inputs that an expression reads. */
export function inputsIn(x: Expr): Set<number> {
  const found = new Set<number>();
  for (const node of nodesOf(x)) if (node.kind === 'input') found.add(node.index);
  return found;
}

/** The lines that evaluate an expression at place `l` of the agent's row, and the text of its value. */
function evaluate(layout: RowLayout, x: Expr, prefix: string): { lines: string[]; value: string } {
  const { type, dtypes } = layout;
  const lines: string[] = [];
  for (const k of inputsIn(x)) {
    const dtype = dtypes[k] as DType;
    lines.push(
      `let a${k} = base${k} + l * ${uniformWord(FIXED_WORDS + 3 * k + 1)};`,
      `let x${k} = ${wgslLoadBits(elementBits(`in${k}`, `a${k}`, bytesOf(dtype)), dtype, type)};`,
    );
  }
  const scalarWord = FIXED_WORDS + 3 * dtypes.length;
  const value = emitExpr(
    x,
    {
      type,
      input: (k) => `x${k}`,
      scalar: (k) => uniformAs(scalarWord + k, type),
      stage: (k) => `stage${k}`,
      index: 'l',
      length: uniformWord(2),
    },
    lines,
    prefix,
  );
  return { lines, value };
}

/** Walks j = 0 … count − 1; `l` is the place. `body` may use both. */
function walk(body: readonly string[], begin: string): string {
  return `for (var j = 0u; j < count; j++) {
    let l = ${begin} + j * STEP;
${indent(body, '    ')}
  }`;
}

/**
 * Folds what `evaluate` gives for each place from `begin` on into `NAME` (and `NAME_place`), for this invocation; `count` places.
 * Sums of floats run in blocks of 16 and of 256, so that rounding errors grow as slowly as in pairwise summation.
 */
function fold(
  combine: Combine,
  lines: readonly string[],
  value: string,
  name: string,
  type: WgslType,
  begin: string,
  place: string,
): string {
  const identity = identityOf(combine, type);
  switch (combine) {
    case 'sum':
      if (type === 'f32')
        return `var ${name} = 0.0f;
  for (var j2 = 0u; j2 < count; j2 += 256u) {
    let end2 = min(j2 + 256u, count);
    var sum2 = 0.0f;
    for (var j1 = j2; j1 < end2; j1 += 16u) {
      let end1 = min(j1 + 16u, end2);
      var sum1 = 0.0f;
      for (var j = j1; j < end1; j++) {
        let l = ${begin} + j * STEP;
${indent(lines, '        ')}
        sum1 = sum1 + ${value};
      }
      sum2 = sum2 + sum1;
    }
    ${name} = ${name} + sum2;
  }`;
      return `var ${name} = ${identity};\n  ${walk([...lines, `${name} = ${name} + ${value};`], begin)}`;
    case 'prod':
      return `var ${name} = ${identity};\n  ${walk([...lines, `${name} = ${name} * ${value};`], begin)}`;
    case 'max':
    case 'min': {
      const pick = combine === 'max' ? 'larger' : 'smaller';
      return `var ${name} = ${identity};\n  ${walk([...lines, `${name} = ${pick}(${name}, ${value});`], begin)}`;
    }
    case 'argmax':
    case 'argmin': {
      const first = combine === 'argmax' ? 'first_above' : 'first_below';
      return `var ${name} = ${identity};
  var ${name}_place = ${NOWHERE};
  ${walk([...lines, `if (${first}(${value}, ${place}, ${name}, ${name}_place)) {`, `  ${name} = ${value};`, `  ${name}_place = ${place};`, '}'], begin)}`;
    }
  }
}

/** After `fold`: makes one value of the agent's invocations. */
function gather(combine: Combine, name: string, { agent }: AgentLayout): string {
  if (agent === 'invocation') return '';
  if (!isArg(combine)) return `\n  ${name} = group_${combine}(lane, ${name});`;
  return `\n  ${name} = group_${combine}(lane, ${name}, ${name}_place);\n  ${name}_place = place_held[0];`;
}

/** The value of a folded stage: for an arg stage the place (0 for an empty axis). */
function result(combine: Combine, name: string, type: WgslType): string {
  if (!isArg(combine)) return name;
  const place = `select(${name}_place, 0u, ${name}_place == ${NOWHERE})`;
  return type === 'u32' ? place : `${type}(${place})`;
}

function head(layout: RowLayout, agent: AgentLayout, bindings: readonly string[]): string {
  const declarations = bindings
    .map(
      (name, i) =>
        `@group(0) @binding(${i}) var<storage, ${i === bindings.length - 1 ? 'read_write' : 'read'}> ${name}: array<u32>;`,
    )
    .join('\n');
  const { type } = layout;
  const step = agent.agent === 'workgroup' ? 'WORKGROUP' : '1u';
  return `alias T = ${type};
const WORKGROUP = ${agent.workgroup}u;
const STEP = ${step};
const NOWHERE = ${NOWHERE};
${declarations}
${uniformBlock(bindings.length)}fn larger(a: T, b: T) -> T { return ${type === 'f32' ? 'max_f' : 'max'}(a, b); }
fn smaller(a: T, b: T) -> T { return ${type === 'f32' ? 'min_f' : 'min'}(a, b); }
fn unordered(a: T) -> bool { return ${type === 'f32' ? 'is_nan(a)' : 'false'}; }
`;
}

function shader(layout: RowLayout, agent: AgentLayout, bindings: readonly string[], body: string): string {
  const together = agent.agent === 'workgroup';
  const parameters = together
    ? '@builtin(workgroup_id) gid: vec3<u32>, @builtin(local_invocation_index) lane: u32'
    : '@builtin(global_invocation_id) gid: vec3<u32>';
  const text = `@compute @workgroup_size(${agent.workgroup})
fn main(${parameters}) {
  let agent = gid.x + gid.y * ${uniformWord(1)};
${together ? '' : '  const lane = 0u;\n'}${body}}
`;
  const whole = head(layout, agent, bindings) + text;
  const library = groupFor(whole);
  return mathFor(whole + library) + whole + library;
}

const inputNames = (layout: RowLayout): string[] => layout.dtypes.map((_, k) => `in${k}`);

/** `o`, `i` and where each input's row begins, from `row`. */
function placeRow(layout: RowLayout): string {
  const bases = layout.dtypes.map(
    (_, k) =>
      `  let base${k} = o * ${uniformWord(FIXED_WORDS + 3 * k)} + i * ${uniformWord(FIXED_WORDS + 3 * k + 2)};\n`,
  );
  return `  let o = row / ${uniformWord(3)};\n  let i = row - o * ${uniformWord(3)};\n${bases.join('')}`;
}

const COUNT = (begin: string, end: string): string =>
  `  let count = select(0u, (${end} - ${begin} - lane + STEP - 1u) / STEP, ${begin} + lane < ${end});\n`;

/** One dispatch for everything: each agent folds a row through all stages and stores it. Bindings: inputs, out. */
export function wholeWgsl(layout: RowLayout, agent: AgentLayout): string {
  let body = `  let row = agent;\n  if (row >= ${uniformWord(0)}) { return; }\n${placeRow(layout)}${COUNT('0u', uniformWord(2))}`;
  layout.stages.forEach(({ combine, load }, k) => {
    const { lines, value } = evaluate(layout, load, 't');
    body += `  ${fold(combine, lines, value, `fold${k}`, layout.type, 'lane', 'l')}${gather(combine, `fold${k}`, agent)}\n`;
    body += `  let stage${k} = ${result(combine, `fold${k}`, layout.type)};\n`;
  });
  body += layout.perElement ? storeElements(layout) : storeRow(layout, agent);
  return shader(layout, agent, [...inputNames(layout), 'out'], body);
}

/** Stores the row's one result; inputs are read where the row begins. */
function storeRow(layout: RowLayout, agent: AgentLayout): string {
  const { lines, value } = evaluate(layout, layout.store, 's');
  const all = [...lines, `out[row] = ${layout.storeBits(value)};`];
  if (all.some((line) => /\bl\b/.test(line))) all.unshift('const l = 0u;');
  return agent.agent === 'workgroup'
    ? `  if (lane == 0u) {\n${indent(all, '    ')}\n  }\n`
    : `${indent(all, '  ')}\n`;
}

function storeElements(layout: RowLayout): string {
  const { lines, value } = evaluate(layout, layout.store, 's');
  return `  ${walk([...lines, `out[(o * ${uniformWord(2)} + l) * ${uniformWord(3)} + i] = ${layout.storeBits(value)};`], 'lane')}\n`;
}

/** Reads the results of stages before `until` from `results`, (rows, stages). */
function loadResults(layout: RowLayout, until: number): string {
  let text = '';
  for (let k = 0; k < until; k++)
    text += `  let stage${k} = ${fromBits(`results[row * ${layout.stages.length}u + ${k}u]`, layout.type)};\n`;
  return text;
}

/**
 * Folds one chunk of one row for stage `k`: agents are (chunk, row), the row running fastest. Bindings: inputs, results (if k > 0), partials. A partial is a
 * value, for arg stages followed by its place.
 */
export function partialWgsl(layout: RowLayout, agent: AgentLayout, k: number): string {
  const { combine, load } = layout.stages[k] as Stage;
  const { lines, value } = evaluate(layout, load, 't');
  const words = isArg(combine) ? 2 : 1;
  let body = `  if (agent >= ${uniformWord(0)} * ${uniformWord(5)}) { return; }
  let chunk = agent / ${uniformWord(0)};
  let row = agent - chunk * ${uniformWord(0)};
${placeRow(layout)}${loadResults(layout, k)}  let begin = chunk * ${uniformWord(4)};
  let end = min(begin + ${uniformWord(4)}, ${uniformWord(2)});
${COUNT('begin', 'end')}  ${fold(combine, lines, value, 'folded', layout.type, 'begin + lane', 'l')}${gather(combine, 'folded', agent)}
`;
  const at = `(row * ${uniformWord(5)} + chunk) * ${words}u`;
  const store = [`partials[${at}] = ${toBits('folded', layout.type)};`];
  if (isArg(combine)) store.push(`partials[${at} + 1u] = folded_place;`);
  body +=
    agent.agent === 'workgroup'
      ? `  if (lane == 0u) {\n${indent(store, '    ')}\n  }\n`
      : `${indent(store, '  ')}\n`;
  return shader(layout, agent, [...inputNames(layout), ...(k > 0 ? ['results'] : []), 'partials'], body);
}

/**
 * Folds the partials of each row for stage `k`. If it is the last and the store is per row, stores: bindings the inputs that the store reads, partials,
 * results (if k > 0), out.
 * Otherwise puts the result beside those before it: bindings partials, results.
 */
export function combineWgsl(layout: RowLayout, agent: AgentLayout, k: number): string {
  const { type } = layout;
  const { combine } = layout.stages[k] as Stage;
  const words = isArg(combine) ? 2 : 1;
  const at = `(row * ${uniformWord(5)} + l) * ${words}u`;
  const lines = [`let partial = ${fromBits(`partials[${at}]`, type)};`];
  if (isArg(combine)) lines.push(`let partial_place = partials[${at} + 1u];`);
  const stores = k === layout.stages.length - 1 && !layout.perElement;
  let body = `  let row = agent;
  if (row >= ${uniformWord(0)}) { return; }
${COUNT('0u', uniformWord(5))}  ${fold(combine, lines, 'partial', 'folded', type, 'lane', 'partial_place')}${gather(combine, 'folded', agent)}
  let stage${k} = ${result(combine, 'folded', type)};
`;
  if (stores) {
    const read = [...inputsIn(layout.store)];
    body += (read.length > 0 ? placeRow(layout) : '') + loadResults(layout, k) + storeRow(layout, agent);
    const names = [...read.map((input) => `in${input}`), 'partials', ...(k > 0 ? ['results'] : []), 'out'];
    return shader(layout, agent, names, body);
  }
  const put = `results[row * ${layout.stages.length}u + ${k}u] = ${toBits(`stage${k}`, type)};`;
  body += agent.agent === 'workgroup' ? `  if (lane == 0u) { ${put} }\n` : `  ${put}\n`;
  return shader(layout, agent, ['partials', 'results'], body);
}

/** Stores every element from the stages' results: agents are elements in the output's order. Bindings: inputs, results, out. */
export function finishWgsl(layout: RowLayout, agent: AgentLayout): string {
  const { lines, value } = evaluate(layout, layout.store, 's');
  const length = uniformWord(2);
  const inner = uniformWord(3);
  const body = `  if (agent >= ${uniformWord(0)} * ${length}) { return; }
  let o = agent / (${length} * ${inner});
  let rest = agent - o * (${length} * ${inner});
  let l = rest / ${inner};
  let i = rest - l * ${inner};
  let row = o * ${inner} + i;
${layout.dtypes.map((_, k) => `  let base${k} = o * ${uniformWord(FIXED_WORDS + 3 * k)} + i * ${uniformWord(FIXED_WORDS + 3 * k + 2)};\n`).join('')}${loadResults(layout, layout.stages.length)}${indent(lines, '  ')}
  out[agent] = ${layout.storeBits(value)};
`;
  return shader(layout, agent, [...inputNames(layout), 'results', 'out'], body);
}
