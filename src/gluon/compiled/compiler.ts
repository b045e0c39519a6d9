// The compiler as blocks see it. To run this file is to have it.
import { type Compiler, provide } from '../hybridize.ts';
import { graphOf } from './graphOf.ts';
import { Programs } from './programs.ts';
import { recordStep } from './updates.ts';
import { warmUp } from './warmup.ts';

export const compiler: Compiler = { programsOf: (state) => new Programs(state), graphOf, warmUp, recordStep };

provide(compiler);
