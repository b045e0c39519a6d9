// The sheet of pictures: a listbox in which one picture is chosen. Arrow keys walk over it (roving focus), the choice follows.
import { CLASSES, className, type Pictures } from '../data.ts';
import type { Filter, Score } from '../score.ts';
import { byId, drawGrey, make, painted } from './dom.ts';

interface Tile {
  readonly index: number;
  readonly element: HTMLElement;
  readonly said: HTMLElement;
  readonly canvas: HTMLCanvasElement;
}

/** Pictures drawn at once; the rest follow in as many steps as it takes. */
const DRAWN = 90;

export interface SheetOptions {
  readonly pictures: Pictures;
  /** The order on the sheet. */
  readonly order: readonly number[];
  readonly onChoose: (index: number) => void;
}

export class Sheet {
  readonly #root = byId('sheet', HTMLDivElement);
  readonly #tiles: readonly Tile[];
  readonly #byIndex = new Map<number, Tile>();
  readonly #onChoose: (index: number) => void;
  #chosen: Tile | undefined;

  constructor({ pictures, order, onChoose }: SheetOptions) {
    this.#onChoose = onChoose;
    this.#tiles = order.map((index) => {
      const element = make('div', 'tile');
      element.setAttribute('role', 'option');
      element.setAttribute('aria-selected', 'false');
      element.tabIndex = -1;
      element.dataset['index'] = String(index);
      const canvas = make('canvas');
      canvas.width = pictures.side;
      canvas.height = pictures.side;
      const said = make('span', 'said', '…');
      element.append(canvas, said, make('span', 'is', `is ${className(pictures.labels[index] ?? -1)}`));
      const tile = { index, element, said, canvas };
      this.#byIndex.set(index, tile);
      return tile;
    });
    this.#root.replaceChildren(...this.#tiles.map(({ element }) => element));
    void this.#draw(pictures);
    this.#root.addEventListener('click', (event) => this.#onClick(event));
    this.#root.addEventListener('focusin', (event) => this.#onFocus(event));
    this.#root.addEventListener('keydown', (event) => this.#onKey(event));
  }

  async #draw({ pixels, side }: Pictures): Promise<void> {
    const size = side * side;
    for (const [at, { index, canvas }] of this.#tiles.entries()) {
      if (at > 0 && at % DRAWN === 0) await painted();
      drawGrey(canvas, pixels.subarray(index * size, (index + 1) * size), side);
    }
  }

  /** Shows what the score says of some pictures. */
  update(score: Score, indices: Iterable<number>): void {
    for (const index of indices) {
      const tile = this.#byIndex.get(index);
      if (tile === undefined) continue;
      const { element, said } = tile;
      const label = score.said(index);
      const truth = className(score.truth(index));
      element.classList.toggle('done', label !== undefined);
      element.classList.toggle('wrong', score.isWrong(index));
      if (label === undefined) {
        said.textContent = '…';
        element.setAttribute('aria-label', `Picture ${index + 1}: is ${truth}, not classified yet`);
      } else {
        said.textContent = className(label);
        const verdict = score.isWrong(index) ? 'wrong' : 'right';
        element.setAttribute(
          'aria-label',
          `Picture ${index + 1}: says ${className(label)}, is ${truth}: ${verdict}`,
        );
      }
    }
  }

  /** Hides what the filter leaves out; returns how many pictures remain. */
  filter(score: Score, filter: Filter): number {
    let shown = 0;
    for (const { index, element } of this.#tiles) {
      const fits = score.shows(index, filter);
      if (element.hidden === fits) element.hidden = !fits;
      if (fits) shown++;
    }
    const tabbable = this.#chosen?.element.hidden === false ? this.#chosen : this.#visible()[0];
    for (const tile of this.#tiles) tile.element.tabIndex = tile === tabbable ? 0 : -1;
    this.#root.hidden = shown === 0;
    return shown;
  }

  /** With the names below the pictures, or the pictures alone. */
  set names(shown: boolean) {
    this.#root.classList.toggle('bare', !shown);
  }

  /** Chooses a picture; `focus` moves the keyboard's focus to it as well. */
  choose(index: number, focus = false): void {
    const tile = this.#byIndex.get(index);
    if (tile === undefined) return;
    if (tile !== this.#chosen) {
      this.#chosen?.element.setAttribute('aria-selected', 'false');
      for (const each of this.#tiles) if (each.element.tabIndex === 0) each.element.tabIndex = -1;
      this.#chosen = tile;
      tile.element.setAttribute('aria-selected', 'true');
      tile.element.tabIndex = 0;
      this.#onChoose(index);
    }
    if (focus) tile.element.focus();
  }

  /** Back to the top, after another choice of pictures. */
  scrollToTop(): void {
    this.#root.scrollTop = 0;
  }

  #visible(): Tile[] {
    return this.#tiles.filter(({ element }) => !element.hidden);
  }

  #tileOf(target: EventTarget | null): Tile | undefined {
    const element = target instanceof Element ? target.closest<HTMLElement>('.tile') : null;
    const index = element?.dataset['index'];
    return index === undefined ? undefined : this.#byIndex.get(Number(index));
  }

  #onClick(event: Event): void {
    const tile = this.#tileOf(event.target);
    if (tile !== undefined) this.choose(tile.index, true);
  }

  #onFocus(event: Event): void {
    const tile = this.#tileOf(event.target);
    if (tile !== undefined) this.choose(tile.index);
  }

  #onKey(event: KeyboardEvent): void {
    if (event.altKey || event.ctrlKey || event.metaKey) return;
    const tile = this.#tileOf(event.target);
    if (tile === undefined) return;
    const visible = this.#visible();
    const columns = columnsOf(visible);
    const at = visible.indexOf(tile);
    const last = visible.length - 1;
    // A step down from the row before a short last row ends on the last picture.
    const steps: Readonly<Record<string, number>> = {
      ArrowLeft: at - 1,
      ArrowRight: at + 1,
      ArrowUp: at - columns < 0 ? at : at - columns,
      ArrowDown: at + columns,
      PageUp: at - 4 * columns,
      PageDown: at + 4 * columns,
      Home: 0,
      End: last,
    };
    const wanted = steps[event.key];
    if (wanted === undefined) return;
    event.preventDefault();
    const next = visible[Math.min(Math.max(wanted, 0), last)];
    if (next !== undefined) this.choose(next.index, true);
  }
}

/** How many tiles stand in the first row: the stylesheet decides, by the room there is. */
function columnsOf(tiles: readonly Tile[]): number {
  const top = tiles[0]?.element.offsetTop;
  const next = tiles.findIndex(({ element }) => element.offsetTop !== top);
  return next < 0 ? Math.max(tiles.length, 1) : next;
}

/** Fills a select with the ten classes. */
export function addClasses(select: HTMLSelectElement): void {
  for (const [label, name] of CLASSES.entries()) {
    const option = make('option', '', name);
    option.value = String(label);
    select.append(option);
  }
}
