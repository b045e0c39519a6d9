// The namespace `image`: pictures in and out of arrays, as Gluon's: (H, W, C) uint8 on the CPU. Reading, sizes, canvases. What changes pictures at random for
// training is in gluon.data.vision.transforms.
export { type FromPixelsOptions, fromPixels, type PixelSource, toCanvas } from './canvas.ts';
export { type ImreadOptions, imread } from './imread.ts';
export type { Interpolation, InterpolationLike } from './resample.ts';
export { centerCrop, fixedCrop, imresize, type Rect, resizeShort } from './size.ts';
