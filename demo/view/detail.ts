// One picture, large, with the ten probabilities that the network gives it.
import { CLASSES, className, type Pictures } from '../data.ts';
import type { Score } from '../score.ts';
import { byId, drawGrey, formatShare, make } from './dom.ts';

interface Bar {
  readonly row: HTMLLIElement;
  readonly fill: HTMLElement;
  readonly share: HTMLElement;
  readonly tag: HTMLElement;
}

export class Detail {
  readonly #title = byId('detail-title', HTMLHeadingElement);
  readonly #canvas = byId('large', HTMLCanvasElement);
  readonly #verdict = byId('verdict', HTMLParagraphElement);
  readonly #bars: readonly Bar[];
  readonly #pictures: Pictures;

  constructor(pictures: Pictures) {
    this.#pictures = pictures;
    this.#bars = CLASSES.map((name) => {
      const row = make('li', 'bar');
      const fill = make('span', 'bar-fill');
      const track = make('span', 'bar-track');
      const share = make('span', 'bar-share', '–');
      const tag = make('span', 'bar-tag');
      track.append(fill);
      row.append(make('span', 'bar-name', name), tag, track, share);
      return { row, fill, share, tag };
    });
    byId('bars', HTMLOListElement).replaceChildren(...this.#bars.map(({ row }) => row));
  }

  show(index: number, score: Score): void {
    const { side, pixels } = this.#pictures;
    const size = side * side;
    const truth = score.truth(index);
    const said = score.said(index);
    drawGrey(this.#canvas, pixels.subarray(index * size, (index + 1) * size), side);
    this.#canvas.setAttribute(
      'aria-label',
      `Picture ${index + 1}, ${className(truth)}, ${side} by ${side} grey pixels`,
    );
    this.#title.textContent = `Picture ${index + 1}`;
    const probabilities = score.probabilities(index);

    this.#verdict.replaceChildren();
    this.#verdict.classList.toggle('wrong', score.isWrong(index));
    if (said === undefined) {
      this.#verdict.append('It is ', make('b', '', className(truth)), '. The network has not seen it yet.');
    } else {
      const sure = formatShare(probabilities[said] ?? 0);
      this.#verdict.append('Says ', make('b', '', className(said)), `, ${sure} sure. `);
      if (said === truth) this.#verdict.append('Right.');
      else this.#verdict.append('Wrong: it is ', make('b', '', className(truth)), '.');
    }

    for (const [label, { row, fill, share, tag }] of this.#bars.entries()) {
      const probability = probabilities[label] ?? 0;
      row.classList.toggle('is-said', label === said);
      row.classList.toggle('is-truth', label === truth);
      fill.style.setProperty('--share', String(probability));
      share.textContent = said === undefined ? '–' : formatShare(probability);
      const words = [label === said ? 'says' : '', label === truth ? 'is' : ''].filter((word) => word !== '');
      tag.textContent = words.join(' · ');
    }
  }
}
