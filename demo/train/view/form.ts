// The settings' form: choices of the lists, values that are not in them (from the address or an older visit) added.
import { byId, formatCount, make } from '../../view/dom.ts';
import { BATCH_SIZES, EPOCHS, LEARNING_RATES, PICTURES, readSettings, type Settings } from '../settings.ts';

function fill(select: HTMLSelectElement, values: readonly number[], chosen: number): void {
  const all = [...new Set([...values, chosen])].sort((a, b) => a - b);
  select.replaceChildren(
    ...all.map((value) => {
      const option = make('option', '', formatCount(value));
      option.value = String(value);
      option.selected = value === chosen;
      return option;
    }),
  );
}

export class Form {
  readonly #form = byId('settings', HTMLFormElement);
  readonly #rate = byId('learningRate', HTMLInputElement);
  readonly #output = byId('rate-value', HTMLOutputElement);
  readonly #seed = byId('seed', HTMLInputElement);
  #rates: readonly number[] = LEARNING_RATES;
  #shown: Settings;

  constructor(settings: Settings, onChange: (settings: Settings) => void) {
    this.#shown = settings;
    this.show(settings);
    this.#form.addEventListener('submit', (event) => event.preventDefault());
    this.#form.addEventListener('input', () => this.#say());
    this.#form.addEventListener('change', () => {
      if (!this.#form.reportValidity()) return;
      onChange(this.settings);
    });
  }

  show(settings: Settings): void {
    this.#shown = settings;
    const { learningRate, schedule, batchSize, epochs, pictures, seed } = settings;
    this.#rates = [...new Set([...LEARNING_RATES, learningRate])].sort((a, b) => a - b);
    this.#rate.max = String(this.#rates.length - 1);
    this.#rate.value = String(this.#rates.indexOf(learningRate));
    byId('schedule', HTMLSelectElement).value = schedule;
    fill(byId('batchSize', HTMLSelectElement), BATCH_SIZES, batchSize);
    fill(byId('epochs', HTMLSelectElement), EPOCHS, epochs);
    fill(byId('pictures', HTMLSelectElement), PICTURES, pictures);
    this.#seed.value = String(seed);
    this.#say();
  }

  get settings(): Settings {
    const given = Object.fromEntries(new FormData(this.#form));
    return readSettings({ ...this.#shown, ...given, learningRate: this.#learningRate() });
  }

  #learningRate(): number {
    return this.#rates[this.#rate.valueAsNumber] ?? this.#shown.learningRate;
  }

  #say(): void {
    const text = String(this.#learningRate());
    this.#output.textContent = text;
    this.#rate.setAttribute('aria-valuetext', text);
  }
}
