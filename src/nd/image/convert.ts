// Between RGBA pixels, as canvases hold them, and arrays (H, W, C).
import type { HostArray } from './host.ts';

/** Gray, RGB or RGBA. */
export type Channels = 1 | 3 | 4;

/**
 * Pixels as (H, W, C) uint8. Transparency is dropped, not blended: colours stay what they are. Gray is 0.299 R + 0.587 G + 0.114 B (ITU-R BT.601), rounded, as
 * OpenCV's.
 */
export function fromRgba(
  rgba: ArrayLike<number>,
  width: number,
  height: number,
  channels: Channels,
): HostArray {
  const pixels = width * height;
  const values = new Uint8Array(pixels * channels);
  for (let i = 0; i < pixels; i++) {
    const at = i * 4;
    if (channels === 1) {
      const [r, g, b] = [rgba[at] as number, rgba[at + 1] as number, rgba[at + 2] as number];
      values[i] = Math.floor((299 * r + 587 * g + 114 * b + 500) / 1000);
    } else for (let c = 0; c < channels; c++) values[i * channels + c] = rgba[at + c] as number;
  }
  return { values, dtype: 'uint8', shape: [height, width, channels] };
}

/** Where the axes of a picture are. */
export interface PictureAxes {
  readonly height: number;
  readonly width: number;
  readonly channels: number;
  /** Distance in elements from one row, column, channel to the next. */
  readonly strides: readonly [number, number, number];
}

/** Reads (H, W, C), (C, H, W) or (H, W) off a shape; undefined for none of them. Three channels last win over three first. */
export function picture(shape: readonly number[]): PictureAxes | undefined {
  const [a = 0, b = 0, c = 0] = shape;
  const colours = (n: number): boolean => n === 1 || n === 3 || n === 4;
  if (shape.length === 2) return { height: a, width: b, channels: 1, strides: [b, 1, 1] };
  if (shape.length !== 3) return undefined;
  if (colours(c)) return { height: a, width: b, channels: c, strides: [b * c, c, 1] };
  if (colours(a)) return { height: b, width: c, channels: a, strides: [c, 1, b * c] };
  return undefined;
}

/** Fills RGBA pixels; `scale` takes a value to 0 … 255, which is then rounded and kept in range. */
export function toRgba(
  values: ArrayLike<number>,
  axes: PictureAxes,
  scale: number,
  rgba: { [i: number]: number },
): void {
  const { height, width, channels, strides } = axes;
  const [byRow, byColumn, byChannel] = strides;
  for (let y = 0; y < height; y++)
    for (let x = 0; x < width; x++) {
      const from = y * byRow + x * byColumn;
      const at = (y * width + x) * 4;
      for (let c = 0; c < 4; c++) {
        const channel = channels === 1 ? (c < 3 ? 0 : -1) : c < channels ? c : -1;
        const v = channel < 0 ? 255 : (values[from + channel * byChannel] as number) * scale;
        rgba[at + c] = Number.isNaN(v) ? 0 : Math.max(0, Math.min(255, Math.round(v)));
      }
    }
}
