// What a pooling kernel stores, where that is an expression over its result: `finished(e, bits)`. The result is rounded to the output's dtype first, as if it
// had been stored and loaded again.
import type { DType } from '../../core/dtype.ts';
import type { Expr } from '../../ir/expr.ts';
import { exprKey } from '../../ir/expr.ts';
import type { Buffer } from './customShader.ts';
import type { DispatchSink } from './lowering.ts';
import { mathFor } from './mathLibrary.ts';
import type { ExprLeaves } from './wgslExpr.ts';
import { emitExpr, nodesOf, scalarsIn, wgslLoadBits, wgslStoreBits } from './wgslExpr.ts';
import { CONVERSIONS, wgslTypeOf } from './wgslTypes.ts';

/** The first parameter after a pooling's own: two of the gather, sixteen dims. */
const FIRST_SCALAR = 18;

export function epilogueKey(epilogue: Expr | null): string {
  return epilogue === null ? '' : ` ${exprKey(epilogue)}`;
}

/** The epilogue's own inputs, of the output's shape and dtype. */
export function extraBuffers(count: number, dtype: DType): readonly Buffer[] {
  return Array.from({ length: count }, (_, i) => ({ name: `extra${i + 1}`, access: 'read', dtype }));
}

/** The epilogue's scalars, as parameters from the next on. */
export function epilogueParams(
  sink: DispatchSink,
  epilogue: Expr | null,
  dtype: DType,
  scalars: readonly number[],
): void {
  const count = epilogue === null ? 0 : scalarsIn(epilogue);
  const type = wgslTypeOf(dtype);
  for (let i = 0; i < count; i++) {
    const value = scalars[i] ?? 0;
    if (type === 'f32') sink.f32(value);
    else if (type === 'i32') sink.i32(value);
    else sink.u32(value);
  }
}

const ACCESSOR = { f32: 'pf', i32: 'pi', u32: 'pu' } as const;

/** `fn element(e) -> u32` over the body's `pooled(e)`. */
export function elementFunction(epilogue: Expr | null, dtype: DType): string {
  return `${finishedFunction(epilogue, dtype)}fn element(e: u32) -> u32 { return finished(e, pooled(e)); }\n`;
}

/** `fn finished(e, bits) -> u32`: what is stored as element e where the result is `bits`; with what it calls. */
export function finishedFunction(epilogue: Expr | null, dtype: DType): string {
  if (epilogue === null) return 'fn finished(e: u32, bits: u32) -> u32 { return bits; }\n';
  const type = wgslTypeOf(dtype);
  const read = new Set<number>();
  for (const node of nodesOf(epilogue)) if (node.kind === 'input') read.add(node.index);
  const lines = [...read].map(
    (i) => `let x${i} = ${wgslLoadBits(i === 0 ? 'bits' : `extra${i}_bits(e)`, dtype, type)};`,
  );
  const leaves: ExprLeaves = {
    type,
    input: (i) => `x${i}`,
    scalar: (i) => `${ACCESSOR[type]}(${FIRST_SCALAR + i})`,
    index: 'e',
  };
  const value = emitExpr(epilogue, leaves, lines);
  const text = `fn finished(e: u32, bits: u32) -> u32 {
${lines.map((line) => `  ${line}\n`).join('')}  return ${wgslStoreBits(value, type, dtype)};
}
`;
  return mathFor(text, CONVERSIONS) + text;
}
