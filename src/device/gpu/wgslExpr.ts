// From an expression (ir/expr.ts) to WGSL. What stands at the leaves is the caller's: this file knows operators, numbers and types.
// Common parts become one `let`, so that expressions made by differentiation stay short.
import type { ComputeType, DType } from '../../core/dtype.ts';
import type { BinaryName, Expr, UnaryName } from '../../ir/expr.ts';

/** The numbers a shader computes in; float64 never comes to a GPU. */
export type WgslType = Exclude<ComputeType, 'f64'>;

/** What the leaves of an expression are in the shader, as WGSL of the compute type (`index` and `length`: of u32). */
export interface ExprLeaves {
  readonly type: WgslType;
  input(index: number): string;
  scalar(index: number): string;
  stage?: ((index: number) => string) | undefined;
  readonly index?: string | undefined;
  readonly length?: string | undefined;
}

const scratch = new Float32Array(1);
const scratchBits = new Uint32Array(scratch.buffer);

/** A number as a WGSL literal of a type. Infinity, NaN and −0 go through bits, since WGSL refuses them or its compilers drop them. */
export function wgslNumber(value: number, type: WgslType): string {
  if (type === 'f32') {
    scratch[0] = value;
    const rounded = scratch[0] as number;
    if (!Number.isFinite(rounded) || Object.is(rounded, -0))
      return `from_bits(0x${(scratchBits[0] ?? 0).toString(16).padStart(8, '0')}u)`;
    const text = `${Object.is(rounded, Math.trunc(rounded)) && Math.abs(rounded) < 1e9 ? rounded.toFixed(1) : String(rounded)}f`;
    return rounded < 0 ? `(${text})` : text;
  }
  const whole = Number.isNaN(value)
    ? 0
    : Math.trunc(Math.min(Math.max(value, -2147483648), type === 'u32' ? 4294967295 : 2147483647));
  if (type === 'u32') return `${whole >>> 0}u`;
  if (whole === -2147483648) return '(-2147483647i - 1i)';
  return whole < 0 ? `(${whole}i)` : `${whole}i`;
}

/** Converts WGSL text from one compute type to another by the table in ir/kernel.ts. */
export function wgslConvert(text: string, from: WgslType, to: WgslType): string {
  if (from === to) return text;
  if (to === 'f32') return from === 'u32' ? `u32_to_f32(${text})` : `f32(${text})`;
  if (from === 'f32') return to === 'i32' ? `f32_to_i32(${text})` : `f32_to_u32(${text})`;
  return `bitcast<${to}>(${text})`;
}

/** The bits that are stored for a value of a compute type in a dtype: a u32, of which narrow dtypes take the low bits. */
export function wgslStoreBits(text: string, type: WgslType, dtype: DType): string {
  switch (dtype) {
    case 'float32':
      return `bitcast<u32>(${wgslConvert(text, type, 'f32')})`;
    case 'float16':
      return `f32_to_half(${wgslConvert(text, type, 'f32')})`;
    case 'int32':
      return `bitcast<u32>(${wgslConvert(text, type, 'i32')})`;
    case 'uint32':
      return wgslConvert(text, type, 'u32');
    case 'bool':
      return `select(0u, 1u, ${type === 'f32' ? `is_true(${text})` : `${text} != ${wgslNumber(0, type)}`})`;
    case 'int8':
    case 'uint8':
      return `(${wgslConvert(wgslConvert(text, type, type === 'f32' ? 'i32' : type), type === 'f32' ? 'i32' : type, 'u32')} & 0xffu)`;
    case 'float64':
      throw new Error('float64 has no form on a GPU');
  }
}

/** The value of stored bits (a u32 with the element in its low bits, the rest zero) in a compute type. */
export function wgslLoadBits(bits: string, dtype: DType, type: WgslType): string {
  switch (dtype) {
    case 'float32':
      return wgslConvert(`bitcast<f32>(${bits})`, 'f32', type);
    case 'float16':
      return wgslConvert(`half_to_f32(${bits})`, 'f32', type);
    case 'int32':
      return wgslConvert(`bitcast<i32>(${bits})`, 'i32', type);
    case 'int8':
      return wgslConvert(`(bitcast<i32>(${bits} << 24u) >> 24u)`, 'i32', type);
    default:
      return wgslConvert(bits, 'u32', type);
  }
}

const COMPARE: Partial<Record<BinaryName, string>> = { eq: '==', lt: '<', le: '<=', gt: '>', ge: '>=' };
const F32_UNARY: Partial<Record<UnaryName, string>> = {
  abs: 'abs',
  floor: 'floor',
  ceil: 'ceil',
  rint: 'round',
  trunc: 'trunc',
  sqrt: 'sqrt',
  sign: 'sign_f',
  exp: 'exp_f',
  expm1: 'expm1_f',
  log: 'log_f',
  log1p: 'log1p_f',
  cbrt: 'cbrt_f',
  sin: 'sin_f',
  cos: 'cos_f',
  tan: 'tan_f',
  asin: 'asin_f',
  acos: 'acos_f',
  atan: 'atan_f',
  sinh: 'sinh_f',
  cosh: 'cosh_f',
  tanh: 'tanh_f',
  asinh: 'asinh_f',
  acosh: 'acosh_f',
  atanh: 'atanh_f',
  erf: 'erf_f',
  erfinv: 'erfinv_f',
};

/** Emits one expression's WGSL; `lines` receives the `let` statements that stand before it. */
class Emitter {
  readonly #leaves: ExprLeaves;
  readonly #lines: string[];
  readonly #prefix: string;
  readonly #named = new Map<string, string>();
  readonly #seen = new Map<Expr, string>();

  constructor(leaves: ExprLeaves, lines: string[], prefix: string) {
    this.#leaves = leaves;
    this.#lines = lines;
    this.#prefix = prefix;
  }

  #let(text: string): string {
    const known = this.#named.get(text);
    if (known !== undefined) return known;
    const name = `${this.#prefix}${this.#named.size}`;
    this.#named.set(text, name);
    this.#lines.push(`let ${name} = ${text};`);
    return name;
  }

  #bit(condition: string): string {
    const { type } = this.#leaves;
    return this.#let(`select(${wgslNumber(0, type)}, ${wgslNumber(1, type)}, ${condition})`);
  }

  value(x: Expr): string {
    const known = this.#seen.get(x);
    if (known !== undefined) return known;
    const text = this.#value(x);
    this.#seen.set(x, text);
    return text;
  }

  #value(x: Expr): string {
    const { type } = this.#leaves;
    switch (x.kind) {
      case 'input':
        return this.#leaves.input(x.index);
      case 'scalar':
        return this.#leaves.scalar(x.index);
      case 'const':
        return wgslNumber(x.value, type);
      case 'index':
        return this.#let(wgslConvert(this.#leaves.index ?? '0u', 'u32', type));
      case 'length':
        return this.#let(wgslConvert(this.#leaves.length ?? '0u', 'u32', type));
      case 'stage':
        return this.#leaves.stage?.(x.index) ?? wgslNumber(0, type);
      case 'select':
        return this.#let(`select(${this.value(x.no)}, ${this.value(x.yes)}, ${this.condition(x.test)})`);
      case 'unary':
        if (x.name === 'not' || x.name === 'isnan' || x.name === 'isinf') return this.#bit(this.condition(x));
        return this.#let(unaryText(x.name, this.value(x.a), type));
      case 'binary':
        if (isLogical(x.name)) return this.#bit(this.condition(x));
        // The most common power, exactly, without the general one's length.
        if (x.name === 'pow' && x.b.kind === 'const' && x.b.value === 2)
          return this.#let(binaryText('mul', this.value(x.a), this.value(x.a), type));
        return this.#let(binaryText(x.name, this.value(x.a), this.value(x.b), type));
    }
  }

  /** A WGSL bool: whether an expression is not zero. */
  condition(x: Expr): string {
    const { type } = this.#leaves;
    if (x.kind === 'unary') {
      if (x.name === 'not') return `!${this.condition(x.a)}`;
      if (x.name === 'isnan') return type === 'f32' ? this.#let(`is_nan(${this.value(x.a)})`) : 'false';
      if (x.name === 'isinf') return type === 'f32' ? this.#let(`is_inf(${this.value(x.a)})`) : 'false';
    }
    if (x.kind === 'binary') {
      if (x.name === 'and') return this.#let(`(${this.condition(x.a)} & ${this.condition(x.b)})`);
      if (x.name === 'or') return this.#let(`(${this.condition(x.a)} | ${this.condition(x.b)})`);
      if (x.name === 'xor') return this.#let(`(${this.condition(x.a)} != ${this.condition(x.b)})`);
      if (x.name === 'ne') return `!${this.#compare('==', x.a, x.b)}`;
      const sign = COMPARE[x.name];
      if (sign !== undefined) return this.#compare(sign, x.a, x.b);
    }
    const value = this.value(x);
    return this.#let(type === 'f32' ? `is_true(${value})` : `(${value} != ${wgslNumber(0, type)})`);
  }

  /** False if either side is NaN, whatever the driver thinks of NaNs. */
  #compare(sign: string, a: Expr, b: Expr): string {
    const left = this.value(a);
    const right = this.value(b);
    let text = `(${left} ${sign} ${right})`;
    if (this.#leaves.type === 'f32') {
      for (const [side, name] of [
        [a, left],
        [b, right],
      ] as const)
        if (side.kind !== 'const' || Number.isNaN(side.value)) text += ` & !is_nan(${name})`;
    }
    return this.#let(`(${text})`);
  }
}

function isLogical(name: BinaryName): boolean {
  return name === 'and' || name === 'or' || name === 'xor' || name === 'ne' || COMPARE[name] !== undefined;
}

function unaryText(name: UnaryName, a: string, type: WgslType): string {
  if (type === 'f32') return name === 'neg' ? `(-${a})` : `${F32_UNARY[name] ?? name}(${a})`;
  switch (name) {
    case 'neg':
      return type === 'u32' ? `(0u - ${a})` : `(0i - ${a})`;
    case 'abs':
      return type === 'u32' ? a : `abs(${a})`;
    case 'sign':
      return type === 'u32' ? `min(${a}, 1u)` : `sign(${a})`;
    case 'floor':
    case 'ceil':
    case 'rint':
    case 'trunc':
      return a;
    default:
      return wgslConvert(`${F32_UNARY[name] ?? name}(f32(${a}))`, 'f32', type);
  }
}

function binaryText(name: BinaryName, a: string, b: string, type: WgslType): string {
  const suffix = type.charAt(0);
  switch (name) {
    case 'add':
      return `(${a} + ${b})`;
    case 'sub':
      return `(${a} - ${b})`;
    case 'mul':
      return `(${a} * ${b})`;
    case 'div':
      return type === 'f32' ? `(${a} / ${b})` : `div_${suffix}(${a}, ${b})`;
    case 'mod':
      return type === 'u32' ? `fmod_u(${a}, ${b})` : `mod_${suffix}(${a}, ${b})`;
    case 'fmod':
      return `fmod_${suffix}(${a}, ${b})`;
    case 'pow':
      return `pow_${suffix}(${a}, ${b})`;
    case 'max':
    case 'min':
      return type === 'f32' ? `${name}_f(${a}, ${b})` : `${name}(${a}, ${b})`;
    case 'atan2':
      return type === 'f32'
        ? `atan2_f(${a}, ${b})`
        : wgslConvert(`atan2_f(f32(${a}), f32(${b}))`, 'f32', type);
    default:
      throw new Error(`no WGSL for ${name}`);
  }
}

/**
 * WGSL for an expression: pushes `let` statements to `lines` (their names begin with `prefix`) and returns the text of the result, of type
 * `leaves.type`. Library functions it calls come from `mathFor`.
 */
export function emitExpr(x: Expr, leaves: ExprLeaves, lines: string[], prefix = 't'): string {
  return new Emitter(leaves, lines, prefix).value(x);
}

/** As `emitExpr` for several expressions, which share what they have in common. */
export function emitExprs(exprs: readonly Expr[], leaves: ExprLeaves, lines: string[]): string[] {
  const emitter = new Emitter(leaves, lines, 't');
  return exprs.map((x) => emitter.value(x));
}

/** Every node of an expression once, however often it is shared. */
export function nodesOf(x: Expr, found: Set<Expr> = new Set()): Set<Expr> {
  if (found.has(x)) return found;
  found.add(x);
  if (x.kind === 'unary') nodesOf(x.a, found);
  else if (x.kind === 'binary') {
    nodesOf(x.a, found);
    nodesOf(x.b, found);
  } else if (x.kind === 'select') {
    nodesOf(x.test, found);
    nodesOf(x.yes, found);
    nodesOf(x.no, found);
  }
  return found;
}

/** The number of run-time scalars an expression takes: one more than its highest index. */
export function scalarsIn(x: Expr): number {
  let count = 0;
  for (const node of nodesOf(x)) if (node.kind === 'scalar') count = Math.max(count, node.index + 1);
  return count;
}
