// Gluon's printed forms are Python's: tuples, True and None, floats as `repr` writes them.
import { shapeText } from '../core/shape.ts';

/** `True`, `False`. */
export function pythonBool(value: boolean): string {
  return value ? 'True' : 'False';
}

/** A number as Python's `repr` writes it: `0.1`, `1e-05`. Whole numbers stay without a point, as one writes them. */
export function pythonNumber(value: number): string {
  if (Number.isNaN(value)) return 'nan';
  if (!Number.isFinite(value)) return value > 0 ? 'inf' : '-inf';
  const size = Math.abs(value);
  if (size === 0 || (size >= 1e-4 && size < 1e16)) return String(value);
  return value.toExponential().replace(/e([+-])(\d)$/, 'e$10$2');
}

/** An extent that Gluon prints as None while it is not known. */
export function extentOrNone(extent: number | undefined): string {
  return extent === undefined || extent === 0 ? 'None' : String(extent);
}

/** `eps=1e-05, axis=-1, center=True`. */
export function keywords(
  values: Readonly<Record<string, number | boolean | readonly number[] | string>>,
): string {
  return Object.entries(values)
    .map(([name, value]) => {
      if (typeof value === 'boolean') return `${name}=${pythonBool(value)}`;
      if (typeof value === 'number') return `${name}=${pythonNumber(value)}`;
      return `${name}=${typeof value === 'string' ? value : shapeText(value)}`;
    })
    .join(', ');
}

/** Indents every line but the first. */
export function indentRest(text: string, spaces: number): string {
  return text.replaceAll('\n', `\n${' '.repeat(spaces)}`);
}
