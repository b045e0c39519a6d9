// The namespace `gluon`: blocks, parameters and what belongs to them.
export { Block, HybridBlock } from './block.ts';
export * as loss from './loss/index.ts';
export * as nn from './nn/index.ts';
export { Parameter } from './parameter.ts';
export { ParameterDict } from './parameterDict.ts';
export * as utils from './utils.ts';
