// The classes whose names say that they compile. They lie beside the compiler, so that a page which names one has it from the start.
import { HybridBlock as Base } from '../block.ts';
import { Lambda } from '../nn/basic.ts';
import type { ChainBlock } from '../nn/layer.ts';
import { Concurrent, Sequential } from '../nn/sequential.ts';
import './compiler.ts';

/** A block whose forward is made of array operations alone, so that it can be compiled. */
export const HybridBlock = Base;
export type HybridBlock = Base;

/** As `Sequential`; of blocks that can be compiled. */
export class HybridSequential extends Sequential {
  static override readonly kind: string = 'HybridSequential';
  static override readonly compiles = true;

  protected override emptyLike(): Sequential {
    return new HybridSequential({ prefix: this.prefix });
  }
}

/** As `Concurrent`; of blocks that can be compiled. */
export class HybridConcurrent extends Concurrent {
  static override readonly kind: string = 'HybridConcurrent';
  static override readonly compiles = true;

  protected override emptyLike(): Sequential {
    return new HybridConcurrent({ axis: this.axis, prefix: this.prefix });
  }
}

/** As `Lambda`; of array operations alone. */
export class HybridLambda extends Lambda {
  static override readonly kind: string = 'HybridLambda';
  static override readonly compiles = true;
}

/** As `Compose`, of transforms that can be compiled. */
export class HybridCompose extends HybridSequential {
  static override readonly kind: string = 'HybridCompose';

  constructor(transforms: readonly ChainBlock[]) {
    super();
    this.add(...transforms);
  }
}
