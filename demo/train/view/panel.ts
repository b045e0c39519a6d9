// The run: figures, progress, devices, buttons. It shows what it is told and says what was pressed.
import type { Kind } from '../../adapter.ts';
import { byId, formatCount, formatShare } from '../../view/dom.ts';
import { Notice } from '../../view/notice.ts';
import type { Place, Test } from '../messages.ts';
import { lengthOf, type Settings, testPictures } from '../settings.ts';
import { formatLoss } from './curves.ts';

/** What the big button does next. */
export type Phase = 'loading' | 'new' | 'training' | 'stopped' | 'finished' | 'broken';

const LABELS: Readonly<Record<Phase, string>> = {
  loading: 'Start training',
  new: 'Start training',
  training: 'Stop',
  stopped: 'Continue',
  finished: 'One more epoch',
  broken: 'Try again',
};

export interface PanelOptions {
  readonly onDevice: (kind: Kind) => void;
  readonly onGo: (phase: Phase) => void;
  readonly onOver: () => void;
}

/** `1 min 20 s`, `45 s`. */
export function formatSeconds(seconds: number): string {
  const whole = Math.max(0, Math.round(seconds));
  if (whole < 60) return `${whole} s`;
  const minutes = Math.floor(whole / 60);
  if (minutes < 60) return `${minutes} min ${whole % 60} s`;
  return `${Math.floor(minutes / 60)} h ${minutes % 60} min`;
}

export class Panel {
  readonly notice = new Notice();
  readonly #go = byId('go', HTMLButtonElement);
  readonly #over = byId('over', HTMLButtonElement);
  readonly #status = byId('status', HTMLParagraphElement);
  readonly #progress = byId('progress', HTMLProgressElement);
  readonly #devices = [...byId('devices', HTMLFieldSetElement).querySelectorAll('input')];
  #phase: Phase = 'loading';

  constructor({ onDevice, onGo, onOver }: PanelOptions) {
    for (const input of this.#devices)
      input.addEventListener('change', () => onDevice(input.value === 'gpu' ? 'gpu' : 'cpu'));
    this.#go.addEventListener('click', () => onGo(this.#phase));
    this.#over.addEventListener('click', onOver);
  }

  set device(kind: Kind) {
    for (const input of this.#devices) input.checked = input.value === kind;
  }

  get phase(): Phase {
    return this.#phase;
  }

  set phase(phase: Phase) {
    this.#phase = phase;
    this.#go.textContent = LABELS[phase];
    this.#go.disabled = phase === 'loading';
    this.#over.disabled = phase === 'loading' || phase === 'new';
    document.documentElement.dataset['phase'] = phase;
  }

  nameGpu(name: string): void {
    byId('gpu-name', HTMLSpanElement).textContent = name;
  }

  /** Said aloud by screen readers, so only what matters: beginnings, tests and ends. */
  say(text: string): void {
    if (this.#status.textContent !== text) this.#status.textContent = text;
  }

  showPlace({ step, epoch, offset }: Place, settings: Settings): void {
    const { pictures, epochs } = settings;
    const all = lengthOf(settings);
    const seen = epoch * pictures + offset;
    this.#progress.max = all;
    this.#progress.value = Math.min(seen, all);
    const now = Math.min(epoch + 1, Math.max(epochs, 1));
    this.showDetail(step === 0 ? '' : `Epoch ${now} of ${epochs}, step ${formatCount(step)}.`);
    document.documentElement.dataset['step'] = String(step);
  }

  /** Beside the status, for the eye alone: it changes too often to be said. */
  showDetail(text: string): void {
    byId('place', HTMLSpanElement).textContent = text;
  }

  showTesting(done: number, count: number): void {
    this.showDetail(`Testing: ${formatCount(done)} of ${formatCount(count)}.`);
  }

  /** @param rate pictures a second; undefined where it is not known (yet) */
  showPace(kind: Kind, rate: number | undefined, secondsLeft: number | undefined): void {
    byId('rate', HTMLElement).textContent = rate === undefined ? '–' : formatCount(rate);
    this.showLeft(secondsLeft);
    if (rate !== undefined)
      byId(`${kind}-rate`, HTMLSpanElement).textContent = `${formatCount(rate)} images/s`;
  }

  showLeft(seconds: number | undefined): void {
    byId('left', HTMLElement).textContent = seconds === undefined ? '–' : formatSeconds(seconds);
  }

  /** @param loss the running mean of the training */
  showLoss(loss: number | undefined): void {
    byId('loss', HTMLElement).textContent = loss === undefined ? '–' : formatLoss(loss);
  }

  showTest(test: Test | undefined, { pictures }: Settings): void {
    byId('test-count', HTMLSpanElement).textContent = formatCount(test?.count ?? testPictures(pictures));
    byId('accuracy', HTMLElement).textContent =
      test === undefined ? '–' : formatShare(test.right / test.count, 2);
  }

  showKept(text: string): void {
    byId('kept', HTMLSpanElement).textContent = text;
  }

  /** Asks before a run is thrown away. */
  async sure(words: string): Promise<boolean> {
    const dialog = byId('sure', HTMLDialogElement);
    byId('sure-words', HTMLParagraphElement).textContent = words;
    dialog.returnValue = 'no';
    dialog.showModal();
    await new Promise((resolve) => {
      dialog.addEventListener('close', resolve, { once: true });
    });
    return dialog.returnValue === 'yes';
  }
}
