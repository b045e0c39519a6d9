// What the network reads: ten bars, and a sentence.
import { byId, formatShare, make } from '../../view/dom.ts';

interface Bar {
  readonly row: HTMLLIElement;
  readonly fill: HTMLElement;
  readonly share: HTMLElement;
  readonly tag: HTMLElement;
}

/** What is on the pad. */
export interface Subject {
  /** The digit it is, where that is known. */
  readonly truth: number | undefined;
}

export class Reading {
  readonly #digit: HTMLElement;
  readonly #words: HTMLElement;
  readonly #status = byId('answer-status', HTMLParagraphElement);
  readonly #bars: readonly Bar[];

  constructor() {
    const answer = byId('answer', HTMLParagraphElement);
    this.#digit = make('b', 'answer-digit');
    this.#words = make('span', 'answer-words');
    answer.replaceChildren(this.#digit, ' ', this.#words);
    this.#bars = Array.from({ length: 10 }, (_, digit) => {
      const row = make('li', 'bar');
      const fill = make('span', 'bar-fill');
      const track = make('span', 'bar-track');
      const share = make('span', 'bar-share', '–');
      const tag = make('span', 'bar-tag');
      track.append(fill);
      row.append(make('span', 'bar-name', String(digit)), tag, track, share);
      return { row, fill, share, tag };
    });
    byId('bars', HTMLOListElement).replaceChildren(...this.#bars.map(({ row }) => row));
    this.clear();
  }

  clear(): void {
    this.#digit.textContent = '–';
    this.#words.textContent = 'Nothing drawn yet.';
    this.#status.textContent = '';
    for (const { row, fill, share, tag } of this.#bars) {
      row.classList.remove('is-said', 'is-truth');
      fill.style.setProperty('--share', '0');
      share.textContent = '–';
      tag.textContent = '';
    }
  }

  /** @param aloud whether screen readers shall say it: after a change by the visitor, not after every step of the network */
  show(probabilities: Float32Array, { truth }: Subject, aloud: boolean): void {
    const top = Math.max(...probabilities);
    const said = probabilities.indexOf(top);
    this.#digit.textContent = String(said);
    this.#words.textContent = `${formatShare(top)} sure${verdict(said, truth)}.`;
    if (aloud) this.#status.textContent = `Reads ${said}, ${formatShare(top)} sure${verdict(said, truth)}.`;
    for (const [digit, { row, fill, share, tag }] of this.#bars.entries()) {
      const probability = probabilities[digit] ?? 0;
      row.classList.toggle('is-said', digit === said);
      row.classList.toggle('is-truth', digit === truth);
      row.classList.toggle('is-unknown', truth === undefined);
      fill.style.setProperty('--share', String(probability));
      share.textContent = formatShare(probability);
      const words = [digit === said ? 'says' : '', digit === truth ? 'is' : ''].filter((word) => word !== '');
      tag.textContent = words.join(' · ');
    }
  }
}

function verdict(said: number, truth: number | undefined): string {
  if (truth === undefined) return '';
  return said === truth ? ', and right' : `, but it is ${truth}`;
}
