// The pad: lines of the pointer, or a picture laid on it. It knows nothing of networks; it hands out 28 × 28 bytes.
import { byId, drawGrey, make } from '../../view/dom.ts';
import { type Spot, type Stroke, toPicture } from '../digit.ts';

export type OnDigit = (pixels: Uint8Array<ArrayBuffer> | undefined, done: boolean) => void;

/** The pen's width as a share of the pad's side: at a usual size of drawing about what MNIST's pens had. */
const PEN = 0.075;

export class Pad {
  readonly #canvas = byId('pad', HTMLCanvasElement);
  readonly #seen = byId('seen', HTMLCanvasElement);
  readonly #context = this.#canvas.getContext('2d');
  readonly #onDigit: OnDigit;
  #strokes: Spot[][] = [];
  #pointer: number | undefined;

  /** @param onDigit whenever what is on the pad changes; `done` when a line has ended or a picture was laid down */
  constructor(onDigit: OnDigit) {
    this.#onDigit = onDigit;
    const canvas = this.#canvas;
    canvas.addEventListener('pointerdown', (event) => this.#down(event));
    canvas.addEventListener('pointermove', (event) => this.#move(event));
    for (const kind of ['pointerup', 'pointercancel'] as const)
      canvas.addEventListener(kind, (event) => this.#up(event));
    byId('clear', HTMLButtonElement).addEventListener('click', () => this.clear());
    this.#draw();
  }

  clear(): void {
    this.#strokes = [];
    this.#draw();
    this.#show(undefined, true);
  }

  /** Lays a picture of 28 × 28 bytes on the pad; the next line drawn begins a new drawing. */
  lay(pixels: Uint8Array<ArrayBuffer>, name: string): void {
    this.#strokes = [];
    const context = this.#context;
    if (context !== null) {
      const small = make('canvas');
      small.width = small.height = 28;
      drawGrey(small, pixels, 28);
      this.#draw();
      context.imageSmoothingEnabled = false;
      context.drawImage(small, 0, 0, this.#canvas.width, this.#canvas.height);
    }
    this.#show(pixels, true, name);
  }

  #spot(event: PointerEvent): Spot {
    const { left, top, width, height } = this.#canvas.getBoundingClientRect();
    return { x: (event.clientX - left) / width, y: (event.clientY - top) / height };
  }

  #down(event: PointerEvent): void {
    if (event.button !== 0 || this.#pointer !== undefined) return;
    event.preventDefault();
    this.#pointer = event.pointerId;
    this.#canvas.setPointerCapture(event.pointerId);
    if (this.#strokes.length === 0) this.#draw();
    this.#strokes.push([this.#spot(event)]);
    this.#changed(false);
  }

  #move(event: PointerEvent): void {
    const stroke = this.#strokes.at(-1);
    if (event.pointerId !== this.#pointer || stroke === undefined) return;
    const moves = event.getCoalescedEvents();
    for (const each of moves.length > 0 ? moves : [event]) stroke.push(this.#spot(each));
    this.#changed(false);
  }

  #up(event: PointerEvent): void {
    if (event.pointerId !== this.#pointer) return;
    this.#pointer = undefined;
    this.#changed(true);
  }

  #changed(done: boolean): void {
    this.#draw();
    this.#show(toPicture(this.#strokes), done, 'your drawing');
  }

  #show(pixels: Uint8Array<ArrayBuffer> | undefined, done: boolean, name = ''): void {
    drawGrey(this.#seen, pixels ?? new Uint8Array(784), 28);
    const label = pixels === undefined ? 'nothing yet' : name;
    this.#seen.setAttribute('aria-label', `What the network sees: ${label}`);
    this.#canvas.setAttribute(
      'aria-label',
      pixels === undefined
        ? 'Drawing pad, empty. Without a pointer, choose a sample digit below.'
        : `Drawing pad with ${name}`,
    );
    this.#onDigit(pixels, done);
  }

  #draw(): void {
    const context = this.#context;
    if (context === null) return;
    const { width, height } = this.#canvas;
    const colour = (name: string): string => getComputedStyle(this.#canvas).getPropertyValue(name);
    context.clearRect(0, 0, width, height);
    context.lineWidth = PEN * width;
    context.lineCap = context.lineJoin = 'round';
    context.strokeStyle = colour('--mark');
    for (const stroke of this.#strokes as readonly Stroke[]) {
      context.beginPath();
      for (const { x, y } of stroke) context.lineTo(x * width, y * height);
      const [first] = stroke;
      // A single spot is a line of no length, which is drawn only when it is closed.
      if (stroke.length === 1 && first !== undefined) context.lineTo(first.x * width, first.y * height);
      context.stroke();
    }
  }
}
