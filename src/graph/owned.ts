// Programs that go with their owner: what they hold on a device is given back at the latest when the collector finds the owner gone.
import type { Device, Program } from '../device/device.ts';
import type { Graph } from '../ir/graph.ts';
import { type CompileGraphOptions, compileGraph } from './compile.ts';

const dropped = new FinalizationRegistry<Program>((program) => program.dispose());

/** Compiles for an owner, which the program must not refer to. */
export function compileFor(
  owner: object,
  graph: Graph,
  device: Device,
  options: CompileGraphOptions,
): Program {
  const program = compileGraph(graph, device, options);
  dropped.register(owner, program, program);
  return program;
}

/** Gives a program's memory back now. */
export function disposeProgram(program: Program): void {
  dropped.unregister(program);
  program.dispose();
}
