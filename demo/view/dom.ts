// The few helpers by which the views touch the page.

/** The element with that id; the page and the code come together, so a missing one is a mistake of ours. */
export function byId<E extends HTMLElement>(id: string, kind: new () => E): E {
  const element = document.getElementById(id);
  if (!(element instanceof kind)) throw new Error(`The page has no ${kind.name} with the id ${id}.`);
  return element;
}

/** A new element with a class and text. */
export function make<K extends keyof HTMLElementTagNameMap>(
  tag: K,
  className = '',
  text = '',
): HTMLElementTagNameMap[K] {
  const element = document.createElement(tag);
  if (className !== '') element.className = className;
  if (text !== '') element.textContent = text;
  return element;
}

/** Draws a grey picture, one byte a pixel, on a canvas of the same size. */
export function drawGrey(canvas: HTMLCanvasElement, pixels: Uint8Array, side: number): void {
  // Many small canvases: kept in memory they cost less than as textures of the GPU, which is what the hint decides.
  const context = canvas.getContext('2d', { willReadFrequently: true });
  if (context === null) return;
  const image = context.createImageData(side, side);
  const { data } = image;
  for (let at = 0; at < side * side; at++) {
    const grey = pixels[at] ?? 0;
    data[4 * at] = grey;
    data[4 * at + 1] = grey;
    data[4 * at + 2] = grey;
    data[4 * at + 3] = 255;
  }
  context.putImageData(image, 0, 0);
}

const whole = new Intl.NumberFormat('en', { maximumFractionDigits: 0 });

/** `12,345` */
export function formatCount(value: number): string {
  return whole.format(value);
}

/** `89.0 %`; a share below 0.05 % but not zero reads `< 0.1 %`. */
export function formatShare(share: number, digits = 1): string {
  const least = 10 ** -digits;
  if (share > 0 && 100 * share < least / 2) return `< ${least.toFixed(digits)} %`;
  return `${(100 * share).toFixed(digits)} %`;
}

/** Resolves after the browser has had the chance to draw; at once in a tab that nobody sees, which draws nothing. */
export function painted(): Promise<void> {
  return new Promise((resolve) => {
    if (document.hidden) setTimeout(resolve, 0);
    else requestAnimationFrame(() => setTimeout(resolve, 0));
  });
}
