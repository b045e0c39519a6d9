// Small pictures of the test set that can be put on the pad: the samples, and what the network got wrong.
import { byId, drawGrey, formatCount, formatShare, make } from '../../view/dom.ts';
import type { Mistake, Sample, Test } from '../messages.ts';

export type OnPick = (sample: Sample) => void;

function pictureButton(sample: Sample, name: string, onPick: OnPick): HTMLButtonElement {
  const button = make('button', 'digit');
  button.type = 'button';
  button.setAttribute('aria-label', name);
  const canvas = make('canvas');
  canvas.width = canvas.height = 28;
  drawGrey(canvas, sample.pixels, 28);
  button.append(canvas);
  button.addEventListener('click', () => onPick(sample));
  return button;
}

function item(...parts: Node[]): HTMLLIElement {
  const element = make('li');
  element.append(...parts);
  return element;
}

export function showSamples(samples: readonly Sample[], onPick: OnPick): void {
  byId('samples', HTMLUListElement).replaceChildren(
    ...samples.map((sample) => item(pictureButton(sample, `A sample of ${sample.truth}`, onPick))),
  );
}

export function showMistakes(mistakes: readonly Mistake[], test: Test | undefined, onPick: OnPick): void {
  const list = byId('mistakes', HTMLUListElement);
  list.hidden = mistakes.length === 0;
  list.replaceChildren(
    ...mistakes.map((mistake) => {
      const { truth, said, share, index } = mistake;
      const name = `Test digit ${index + 1}: says ${said}, ${formatShare(share)} sure, is ${truth}`;
      const button = pictureButton(mistake, name, onPick);
      button.append(make('span', 'said', `says ${said}`), make('span', 'is', `is ${truth}`));
      return item(button);
    }),
  );
  byId('mistakes-hint', HTMLParagraphElement).textContent = hint(mistakes.length, test);
}

function hint(shown: number, test: Test | undefined): string {
  if (test === undefined) return 'After the first test, the test digits that it misread stand here.';
  const wrong = test.count - test.right;
  if (wrong === 0) return `Nothing: all ${formatCount(test.count)} test digits are right.`;
  const which = shown < wrong ? `The ${shown} it is surest of` : 'All, the surest first';
  return `${formatCount(wrong)} of ${formatCount(test.count)} test digits. ${which}. Choose one to put it on the pad.`;
}
