// The run: figures, progress, the switch between devices, and what went wrong.
import type { Kind } from '../adapter.ts';
import type { Refusal } from '../devices.ts';
import type { Score } from '../score.ts';
import { byId, formatCount, formatShare } from './dom.ts';
import { Notice, type Warning } from './notice.ts';

export interface PanelOptions {
  readonly onDevice: (kind: Kind) => void;
  readonly onAgain: () => void;
}

export class Panel {
  readonly #right = byId('right', HTMLSpanElement);
  readonly #of = byId('of', HTMLSpanElement);
  readonly #accuracy = byId('accuracy', HTMLElement);
  readonly #rate = byId('rate', HTMLElement);
  readonly #progress = byId('progress', HTMLProgressElement);
  readonly #status = byId('status', HTMLParagraphElement);
  readonly #notice = new Notice();
  readonly #devices = byId('devices', HTMLFieldSetElement);

  constructor({ onDevice, onAgain }: PanelOptions) {
    for (const input of this.#inputs()) {
      input.addEventListener('change', () => onDevice(input.value === 'gpu' ? 'gpu' : 'cpu'));
    }
    byId('again', HTMLButtonElement).addEventListener('click', onAgain);
  }

  #inputs(): readonly HTMLInputElement[] {
    return [...this.#devices.querySelectorAll('input')];
  }

  /** Shows which device is at work. */
  set device(kind: Kind) {
    for (const input of this.#inputs()) input.checked = input.value === kind;
  }

  nameGpu(name: string): void {
    byId('gpu-name', HTMLSpanElement).textContent = name;
  }

  /** Said aloud by screen readers, so only what matters: beginnings and ends. */
  say(text: string): void {
    this.#status.textContent = text;
  }

  /** Figures of a run so far; `rate` in pictures per second. */
  show(score: Score, rate: number | undefined): void {
    const { done, right } = score;
    this.#progress.max = score.labels.length;
    this.#progress.value = done;
    this.#right.textContent = done === 0 ? '–' : formatCount(right);
    this.#of.textContent = done === 0 ? '' : ` of ${formatCount(done)}`;
    this.#accuracy.textContent = done === 0 ? '–' : formatShare(right / done);
    this.#rate.textContent = rate === undefined ? '–' : formatCount(rate);
  }

  /** Keeps a device's last speed beside its name, for comparison. */
  showRate(kind: Kind, rate: number): void {
    byId(`${kind}-rate`, HTMLSpanElement).textContent = `${formatCount(rate)} images/s`;
  }

  clearNotice(): void {
    this.#notice.clear();
  }

  warn(warning: Warning): void {
    this.#notice.warn(warning);
  }

  /** There is no GPU to use; the CPU goes on. */
  refuse(refusal: Refusal, useSoftware: () => void): void {
    this.#notice.refuse(refusal, useSoftware);
  }
}
