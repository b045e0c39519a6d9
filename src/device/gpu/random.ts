// Random draws on the GPU: a device's generators (which words a draw takes: core/random/philox.ts), and their lowering to shaders/philox.wgsl.
import philoxBody from '../../../shaders/philox.wgsl?raw';
import type { DType } from '../../core/dtype.ts';
import { GluonError } from '../../core/errors.ts';
import type { Draw } from '../../core/random/philox.ts';
import { dispatchesOf, GpuGenerators, philoxConstants } from '../../core/random/philox.ts';
import { sizeOf } from '../../core/shape.ts';
import type { CustomKernel, Operand } from '../../ir/kernel.ts';
import { copyRun } from './customCopy.ts';
import { operandAt, shaderFor } from './customShader.ts';
import type { DispatchSink, GpuShader } from './lowering.ts';
import { paramsDeclaration } from './lowering.ts';
import { bufferDeclaration } from './wgslTypes.ts';

/** The shader for such a draw: one for each set of constants. */
function shaderOf(draw: Draw): GpuShader {
  const constants = philoxConstants(draw);
  return shaderFor(`philox ${constants}`, () => ({
    label: `random ${draw.kind}`,
    bindings: ['read_write'],
    code: () =>
      `${constants}\n${bufferDeclaration(0, 'out', 'read_write')}${paramsDeclaration(1)}${philoxBody}`,
  }));
}

/** The draw that a kernel asks for, and the dtype in which it is made. */
function drawOf(kernel: CustomKernel, scalars: readonly number[]): readonly [draw: Draw, made: DType] {
  const [first = 0, second = 1] = scalars;
  switch (kernel.name) {
    case 'randomUniform':
      return [{ kind: 'uniform', low: first, high: second }, 'float32'];
    case 'randomNormal':
      return [{ kind: 'normal', loc: first, scale: second }, 'float32'];
    case 'randomInt':
      return [{ kind: 'integers', low: first, high: second }, 'int32'];
    default:
      throw new GluonError('expected a random kernel, received another. Lower it through lowerCustom.', {
        op: kernel.name,
      });
  }
}

/**
 * The random numbers of one GPU device.
 *
 * @example
 * const random = new GpuRandom();
 * random.seed(0);
 * random.lower(sink, customKernel('randomUniform'), [y], [0, 1]); // 0.6686509 0.17409194 …
 */
export class GpuRandom {
  readonly #generators = new GpuGenerators();

  /** Starts all generators anew, as `random.seed(s)`. */
  seed(seed: number): void {
    this.#generators.seed(seed);
  }

  /** Lowers `randomUniform`, `randomNormal` or `randomInt` and moves the generators on. An output of no elements moves nothing. */
  lower(
    sink: DispatchSink,
    kernel: CustomKernel,
    outputs: readonly Operand[],
    scalars: readonly number[],
  ): void {
    const y = operandAt(outputs, 0);
    const count = sizeOf(y.shape);
    const [draw, made] = drawOf(kernel, scalars);
    const plan = this.#generators.plan(draw, count);
    if (count === 0) return;
    const direct = y.dtype === made;
    const storage = direct ? y.storage : sink.temporary(4 * count);
    for (const { params, workgroups } of dispatchesOf(plan)) {
      for (const word of params) sink.u32(word);
      sink.dispatch(shaderOf(draw), [storage], workgroups[0], workgroups[1], 1);
    }
    if (!direct) copyRun(sink, storage, made, 0, y.storage, y.dtype, 0, count);
  }
}
