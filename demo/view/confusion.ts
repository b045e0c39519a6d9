// What is taken for what: the table of all classes, and the commonest mistakes as buttons.
import { CLASSES, className } from '../data.ts';
import type { MixUp, Score } from '../score.ts';
import { byId, make } from './dom.ts';

/** Mistakes that the list names. */
const LISTED = 8;

export class Confusion {
  readonly #table = byId('matrix', HTMLTableElement);
  readonly #list = byId('mixups', HTMLOListElement);
  readonly #onChoose: (mixUp: MixUp) => void;
  readonly #cells: readonly (readonly HTMLTableCellElement[])[];

  constructor(onChoose: (mixUp: MixUp) => void) {
    this.#onChoose = onChoose;
    const head = make('tr');
    head.append(make('td'));
    for (const name of CLASSES) {
      const cell = make('th');
      cell.scope = 'col';
      cell.append(make('span', '', name));
      head.append(cell);
    }
    const body = make('tbody');
    this.#cells = CLASSES.map((name) => {
      const row = make('tr');
      const title = make('th', '', name);
      title.scope = 'row';
      const cells = CLASSES.map(() => make('td'));
      row.append(title, ...cells);
      body.append(row);
      return cells;
    });
    const top = make('thead');
    top.append(head);
    this.#table.append(top, body);
  }

  update(score: Score): void {
    for (const [truth, counts] of score.confusion().entries()) {
      const total = counts.reduce((sum, count) => sum + count, 0);
      for (const [said, count] of counts.entries()) {
        const cell = this.#cells[truth]?.[said];
        if (cell === undefined) continue;
        cell.textContent = count === 0 ? '' : String(count);
        cell.className = count === 0 ? '' : truth === said ? 'hit' : 'miss';
        cell.style.setProperty('--share', String(total === 0 ? 0 : count / total));
      }
    }
    this.#list.replaceChildren(
      ...score.mixUps(LISTED).map((mixUp) => {
        const item = make('li');
        const button = make('button', 'mixup');
        button.type = 'button';
        button.append(
          make('span', 'mixup-words', `${className(mixUp.truth)} taken for ${className(mixUp.said)}`),
          make('span', 'mixup-count', String(mixUp.count)),
        );
        button.addEventListener('click', () => this.#onChoose(mixUp));
        item.append(button);
        return item;
      }),
    );
  }
}
