// What a CPU device works with, and which of it runs a kernel: at once, or made ready for a program's runs.
import { CpuGenerators } from '../../core/random/mxnetCpu.ts';
import type { Kernel, Operand } from '../../ir/kernel.ts';
import type { PlanStep } from '../../ir/plan.ts';
import { Allocator } from './allocator.ts';
import { runCustom } from './custom/custom.ts';
import { ElementwiseRunner } from './elementwise.ts';
import { Heap } from './heap.ts';
import { loopsOf } from './loops/tables.ts';
import { ProductRunner } from './product/product.ts';
import { TiledProduct } from './product/tiled.ts';
import type { Ready } from './programs.ts';
import { RowRunner } from './row.ts';
import { Scratch } from './scratch.ts';
import { Temporaries } from './temporaries.ts';
import { Threads } from './threads/threads.ts';
import type { Simd } from './wasm/load.ts';

/** Where the arrays begin: offset 0 belongs to none, so that a forgotten offset shows. */
const FIRST_BYTE = 1024;

/** Everything that is gone after `dispose`. */
export interface Works {
  readonly heap: Heap;
  readonly threads: Threads;
  /** Is called when the heap has moved. */
  readonly moved: () => void;
  readonly allocator: Allocator;
  readonly scratch: Scratch;
  readonly temporaries: Temporaries;
  readonly elementwise: ElementwiseRunner;
  readonly row: RowRunner;
  readonly product: ProductRunner;
  readonly generators: CpuGenerators;
}

export function makeWorks(simd: Simd | undefined): Works {
  const heap = new Heap(simd);
  const allocator = new Allocator(heap, FIRST_BYTE);
  const scratch = new Scratch(allocator, loopsOf(heap));
  const temporaries = new Temporaries(allocator);
  const moved = (): void => {
    scratch.loops = loopsOf(heap);
  };
  const threads = new Threads(heap, allocator, temporaries, moved);
  const elementwise = new ElementwiseRunner(heap, scratch, temporaries, threads);
  const tiled = new TiledProduct(heap, allocator, temporaries, threads);
  return {
    heap,
    threads,
    moved,
    allocator,
    scratch,
    temporaries,
    elementwise,
    row: new RowRunner(heap, scratch, temporaries, threads),
    product: new ProductRunner(heap, scratch, temporaries, elementwise, tiled),
    generators: new CpuGenerators(0),
  };
}

export function runKernel(
  works: Works,
  kernel: Kernel,
  inputs: readonly Operand[],
  outputs: readonly Operand[],
  dims: readonly number[],
  scalars: readonly number[],
): void {
  switch (kernel.kind) {
    case 'elementwise':
      works.elementwise.run(kernel, inputs, outputs, dims, scalars);
      break;
    case 'row':
      works.row.run(kernel, inputs, outputs, dims, scalars);
      break;
    case 'product':
      works.product.run(kernel, inputs, outputs, dims, scalars);
      break;
    case 'update':
      for (const step of kernel.steps)
        works.elementwise.run(
          step.kernel,
          [...outputs, ...inputs],
          [outputs[step.target] as Operand],
          [],
          scalars,
        );
      break;
    case 'custom':
      runCustom(works, kernel, inputs, outputs, dims, scalars);
      break;
  }
}

/** A step of a plan made ready for operands that may come to lie elsewhere. */
export function prepareStep(
  works: Works,
  { kernel, dims }: PlanStep,
  inputs: readonly Operand[],
  outputs: readonly Operand[],
): Ready {
  switch (kernel.kind) {
    case 'elementwise':
      return works.elementwise.prepare(kernel, inputs, outputs, dims);
    case 'product':
      return works.product.prepare(kernel, inputs, outputs, dims);
    case 'update': {
      const steps = kernel.steps.map((step) =>
        works.elementwise.prepare(
          step.kernel,
          [...outputs, ...inputs],
          [outputs[step.target] as Operand],
          [],
        ),
      );
      return (scalars) => {
        for (const step of steps) step(scalars);
      };
    }
    default:
      return (scalars) => runKernel(works, kernel, inputs, outputs, dims, scalars);
  }
}
