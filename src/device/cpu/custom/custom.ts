// Which routine runs a custom kernel. An epilogue is a pass of its own over what the kernel has stored.
import type { CpuGenerators } from '../../../core/random/mxnetCpu.ts';
import { sizeOf } from '../../../core/shape.ts';
import { e } from '../../../ir/expr.ts';
import type { CustomKernel, Operand } from '../../../ir/kernel.ts';
import { elementwiseKernel } from '../../../ir/kernel.ts';
import type { ElementwiseRunner } from '../elementwise.ts';
import type { Heap } from '../heap.ts';
import { Made } from '../made.ts';
import type { Temporaries } from '../temporaries.ts';
import type { Threads } from '../threads/threads.ts';
import { stridedCopy } from './copy.ts';
import { cumsum } from './cumsum.ts';
import { gatherNd, scatterNd, take, takeAlong } from './indexing.ts';
import { pad } from './pad.ts';
import { pool } from './pool.ts';
import { poolGrad } from './poolGrad.ts';
import { random } from './random.ts';
import { sort } from './sort.ts';

/** Epilogues as kernels in place. */
const finishes = new Made((kernel: CustomKernel) =>
  elementwiseKernel(kernel.name, 1, kernel.epilogue ?? e.input(0)),
);

/** What the routines work with. */
export interface CustomWorks {
  readonly heap: Heap;
  readonly temporaries: Temporaries;
  readonly elementwise: ElementwiseRunner;
  readonly generators: CpuGenerators;
  readonly threads: Threads;
}

export function runCustom(
  works: CustomWorks,
  kernel: CustomKernel,
  inputs: readonly Operand[],
  outputs: readonly Operand[],
  dims: readonly number[],
  scalars: readonly number[],
): void {
  const { heap, temporaries, elementwise, generators } = works;
  const y = outputs[0] as Operand;
  const x = inputs[0] as Operand;
  const indices = inputs[1] as Operand;
  /** The kernel's own inputs, before those of its epilogue. */
  let own = 1;
  switch (kernel.name) {
    case 'stridedCopy':
      stridedCopy(heap, x, y, dims);
      break;
    case 'take':
      take(heap, x, indices, y, dims);
      break;
    case 'takeAlong':
      takeAlong(heap, x, indices, y, dims);
      break;
    case 'gatherNd':
      gatherNd(heap, x, indices, y, dims);
      break;
    case 'scatterNd':
    case 'scatterAddNd':
      scatterNd(heap, x, indices, y, dims, kernel.name === 'scatterAddNd');
      break;
    case 'pad':
      pad(heap, x, y, dims);
      break;
    case 'poolMax':
    case 'poolAvg':
    case 'poolSum':
      pool(works, kernel.name, x, y, dims);
      break;
    case 'poolMaxGrad':
    case 'poolMaxPick':
    case 'poolAvgGrad':
    case 'poolSumGrad':
      own = kernel.name === 'poolMaxGrad' || kernel.name === 'poolMaxPick' ? 2 : 1;
      poolGrad(works, kernel.name, inputs.slice(0, own), y, dims);
      break;
    case 'sort':
      sort(heap, x, y, outputs[1], dims);
      break;
    case 'cumsum':
      cumsum(heap, temporaries, x, y, dims);
      break;
    case 'pack':
      for (const [k, part] of inputs.entries()) {
        const from = part.storage.offset / 4;
        const [offset = 0, size = 0] = dims.slice(2 * k);
        heap.f32.copyWithin(y.storage.offset / 4 + offset, from, from + size);
      }
      break;
    case 'randomShuffle':
      heap.i32.set(generators.shuffle(sizeOf(y.shape), dims[0] === 1), y.storage.offset / 4);
      break;
    case 'randomUniform':
    case 'randomNormal':
    case 'randomInt':
      random(heap, generators, kernel.name, y, scalars);
      break;
  }
  if (kernel.epilogue !== null)
    elementwise.run(finishes.of(kernel), [y, ...inputs.slice(own)], [y], [], scalars);
}
