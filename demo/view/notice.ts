// The notice below the run: what went wrong, in plain words first, and perhaps a way on.
import type { Refusal } from '../devices.ts';
import { byId, make } from './dom.ts';

/** What went wrong: a headline, the explanation, the library's own words, and perhaps a way on. */
export interface Warning {
  readonly headline: string;
  readonly text: string;
  readonly detail?: string | undefined;
  readonly action?: { readonly label: string; readonly run: () => void } | undefined;
  /** A failure stands out more than the news that there is no GPU here. */
  readonly failure?: boolean | undefined;
}

export class Notice {
  readonly #root: HTMLDivElement;

  constructor(id = 'notice') {
    this.#root = byId(id, HTMLDivElement);
  }

  clear(): void {
    this.#root.hidden = true;
    this.#root.replaceChildren();
  }

  warn({ headline, text, detail, action, failure = true }: Warning): void {
    const title = make('strong', '', headline);
    const parts: HTMLElement[] = [title, make('p', '', text)];
    if (detail !== undefined) {
      const words = make('details');
      words.append(make('summary', '', 'In the library’s words'), make('code', '', detail));
      parts.push(words);
    }
    if (action !== undefined) {
      const button = make('button', '', action.label);
      button.type = 'button';
      button.addEventListener('click', action.run);
      parts.push(button);
    }
    this.#root.hidden = false;
    this.#root.classList.toggle('failure', failure);
    this.#root.replaceChildren(...parts);
  }

  /** There is no GPU to use; the CPU goes on. */
  refuse(refusal: Refusal, useSoftware: () => void): void {
    this.warn({
      headline: 'The CPU does the work.',
      text: refusal.summary,
      detail: refusal.detail,
      action: refusal.software ? { label: 'Use the software adapter anyway', run: useSoftware } : undefined,
      failure: false,
    });
  }
}
