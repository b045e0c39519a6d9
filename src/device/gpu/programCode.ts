// A shader's parameters as constants: in a program shapes never change, and a driver divides by a constant, unrolls up to one and drops checks against one.
import type { GpuShader } from './lowering.ts';

/** A parameter that comes anew with each run: the scalar `slot` of the program, as parameter `word` in a type. */
export interface DynamicWord {
  readonly word: number;
  readonly slot: number;
  readonly type: 'f32' | 'i32' | 'u32';
}

const LANES = 'xyzw';

/** A WGSL literal of type i32. */
function signed(word: number): string {
  const value = word | 0;
  return value === -2147483648 ? 'i32(-2147483647 - 1)' : value < 0 ? `(${value}i)` : `${value}i`;
}

/** The text with the parameters that it reads as integers in their places. What it reads as floats stays, and so does what `dynamic` names. */
export function withConstants(
  code: string,
  words: ArrayLike<number>,
  dynamic: readonly DynamicWord[],
): string {
  const known = (word: number): boolean => word < words.length && !dynamic.some((d) => d.word === word);
  const at = (word: number): number => (words[word] ?? 0) >>> 0;
  return code
    .replace(/\bpu\((\d+)u?\)/g, (text, word: string) => (known(+word) ? `${at(+word)}u` : text))
    .replace(/\bpi\((\d+)u?\)/g, (text, word: string) => (known(+word) ? signed(at(+word)) : text))
    .replace(/(?<!bitcast<f32>\()params\.v\[(\d+)\]\.([xyzw])/g, (text, quad: string, lane: string) => {
      const word = 4 * +quad + LANES.indexOf(lane);
      return known(word) ? `${at(word)}u` : text;
    });
}

/** The shader with its parameters as constants, where that pays. */
export function constantShader(
  shader: GpuShader,
  words: ArrayLike<number>,
  dynamic: readonly DynamicWord[],
): GpuShader {
  if (shader.sized !== true) return shader;
  const kept = dynamic.map((d) => d.word);
  const sizes = Array.from(words, (word, i) => (kept.includes(i) ? '*' : word));
  return {
    key: `${shader.key}#${sizes.join()}`,
    label: shader.label,
    bindings: shader.bindings,
    code: () => withConstants(shader.code(), words, dynamic),
  };
}
