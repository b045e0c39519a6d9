// The namespace `nn`: blocks and layers.
export { Block, type BlockOptions } from '../block.ts';
export { HybridBlock, HybridConcurrent, HybridLambda, HybridSequential } from '../compiled/blocks.ts';
export { Activation, ELU, GELU, LeakyReLU, PReLU, SELU, SiLU, Swish } from './activations.ts';
export { Dropout, Embedding, Flatten, Identity, Lambda } from './basic.ts';
export { Conv1D, Conv1DTranspose, Conv2D, Conv2DTranspose, Conv3D, Conv3DTranspose } from './conv.ts';
export { Dense } from './dense.ts';
export { type ChainBlock, Layer } from './layer.ts';
export { BatchNorm, GroupNorm, InstanceNorm, LayerNorm } from './norm.ts';
export {
  AvgPool1D,
  AvgPool2D,
  AvgPool3D,
  GlobalAvgPool1D,
  GlobalAvgPool2D,
  GlobalAvgPool3D,
  GlobalMaxPool1D,
  GlobalMaxPool2D,
  GlobalMaxPool3D,
  MaxPool1D,
  MaxPool2D,
  MaxPool3D,
} from './pooling.ts';
export { Concurrent, Sequential } from './sequential.ts';
export { PixelShuffle1D, PixelShuffle2D, PixelShuffle3D, ReflectionPad2D } from './shuffle.ts';
