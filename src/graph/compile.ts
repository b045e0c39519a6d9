// From a graph to a program: passes, plan, device.
import '../device/cpu/replay.ts';
import type { CompileOptions, Device, Program } from '../device/device.ts';
import type { Graph } from '../ir/graph.ts';
import { optimize } from './passes/optimize.ts';
import { plan } from './plan.ts';

export interface CompileGraphOptions extends CompileOptions {
  /** Whether passes and fusion rewrite the graph first; they do by default. */
  readonly optimize?: boolean | undefined;
  /** A last look at the graph, when it is what will be planned. */
  readonly finish?: ((graph: Graph) => Graph) | undefined;
}

/** Compiles a graph for a device. Inputs, outputs and scalars keep their order. */
export function compileGraph(graph: Graph, device: Device, options: CompileGraphOptions): Program {
  const { kind, maxBindings } = device;
  const better = options.optimize === false ? graph : optimize(graph, { kind, maxBindings });
  return device.compile(plan(options.finish?.(better) ?? better), options);
}
