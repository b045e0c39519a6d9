// What a call is given and what it gives: arrays in lists and plain objects, beside values that are none. Taken apart once, told apart from others at every call, and put
// together again around other arrays.
import { NDArray } from '../../array/ndarray.ts';
import type { Context } from '../../core/context.ts';
import type { DType } from '../../core/dtype.ts';
import { describe, sameShape, shapeText } from '../../core/shape.ts';

/** The form of a value. */
export type Layout =
  | { readonly kind: 'array'; readonly index: number; readonly type: ArrayType }
  /** A list, or an object with these keys. */
  | { readonly kind: 'parts'; readonly keys: readonly string[] | null; readonly items: readonly Layout[] }
  | { readonly kind: 'constant'; readonly value: Constant };

interface ArrayType {
  readonly shape: readonly number[];
  readonly dtype: DType;
  readonly context: Context;
}

type Constant = string | number | boolean | bigint | null | undefined;

function isConstant(value: unknown): value is Constant {
  return (
    value === null || (typeof value !== 'object' && typeof value !== 'function' && typeof value !== 'symbol')
  );
}

function isPlain(value: unknown): value is Record<string, unknown> {
  if (typeof value !== 'object' || value === null) return false;
  const prototype: unknown = Object.getPrototypeOf(value);
  return prototype === Object.prototype || prototype === null;
}

/**
 * Takes a value apart: its form, and its arrays in `found`, each once (by identity where it comes twice). Text, saying what it is, for a value with parts that cannot be
 * told apart or made again.
 */
export function layoutOf(value: unknown, found: NDArray[]): Layout | string {
  if (value instanceof NDArray) {
    const { shape, dtype, context } = value;
    let index = found.indexOf(value);
    if (index < 0) index = found.push(value) - 1;
    return { kind: 'array', index, type: { shape, dtype, context } };
  }
  if (isConstant(value)) return { kind: 'constant', value };
  if (!Array.isArray(value) && !isPlain(value)) return describe(value);
  const items: Layout[] = [];
  for (const part of Object.values(value)) {
    const item = layoutOf(part, found);
    if (typeof item === 'string') return item;
    items.push(item);
  }
  return { kind: 'parts', keys: Array.isArray(value) ? null : Object.keys(value), items };
}

/** Whether a value has this form; its arrays go to their places in `found`. An array may come twice only where it did. */
export function matches(layout: Layout, value: unknown, found: NDArray[]): boolean {
  switch (layout.kind) {
    case 'array': {
      if (!(value instanceof NDArray)) return false;
      const { index, type } = layout;
      if (value.dtype !== type.dtype || value.context !== type.context || !sameShape(value.shape, type.shape))
        return false;
      if (index < found.length) return found[index] === value;
      if (index > 0 && found.includes(value)) return false;
      found.push(value);
      return true;
    }
    case 'constant':
      return Object.is(value, layout.value);
    case 'parts': {
      const { keys, items } = layout;
      const parts = keys === null ? Array.isArray(value) && value : isPlain(value) && Object.keys(value);
      if (parts === false || parts.length !== items.length) return false;
      for (let i = 0; i < items.length; i++) {
        const key = keys?.[i] ?? i;
        if (keys !== null && !Object.hasOwn(value as object, key)) return false;
        if (!matches(items[i] as Layout, (value as Record<string | number, unknown>)[key], found))
          return false;
      }
      return true;
    }
  }
}

/** A value of this form around other arrays. */
export function rebuild(layout: Layout, arrays: readonly NDArray[]): unknown {
  switch (layout.kind) {
    case 'array':
      return arrays[layout.index];
    case 'constant':
      return layout.value;
    case 'parts': {
      const items = layout.items.map((item) => rebuild(item, arrays));
      return layout.keys === null ? items : Object.fromEntries(layout.keys.map((key, i) => [key, items[i]]));
    }
  }
}

/** A form as text: `(2, 3) float32`, `[(2, 3) float32, 'abc']`. */
export function layoutText(layout: Layout): string {
  switch (layout.kind) {
    case 'array':
      return `${shapeText(layout.type.shape)} ${layout.type.dtype}`;
    case 'constant':
      return typeof layout.value === 'string' ? JSON.stringify(layout.value) : String(layout.value);
    case 'parts': {
      const { keys } = layout;
      const items = layout.items.map(layoutText);
      return keys === null
        ? `[${items.join(', ')}]`
        : `{ ${items.map((item, i) => `${keys[i]}: ${item}`).join(', ')} }`;
    }
  }
}
