// The namespace `gluon.data.vision.transforms`.
export { HybridCompose } from '../../../compiled/blocks.ts';
export {
  RandomBrightness,
  RandomColorJitter,
  RandomContrast,
  RandomHue,
  RandomSaturation,
} from './colour.ts';
export { Cast, Compose, Normalize, type PerChannel, ToTensor } from './convert.ts';
export {
  CenterCrop,
  CropResize,
  type Padding,
  RandomCrop,
  RandomFlipLeftRight,
  RandomFlipTopBottom,
  RandomResizedCrop,
  Resize,
  type ScaleOptions,
} from './geometry.ts';
