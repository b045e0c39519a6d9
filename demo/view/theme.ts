// Light, dark or as the system says; the choice is remembered where the browser lets us.
import { byId } from './dom.ts';

const KEY = 'webgluon.theme';

function remembered(): string | null {
  try {
    return localStorage.getItem(KEY);
  } catch {
    return null;
  }
}

function remember(theme: string): void {
  try {
    localStorage.setItem(KEY, theme);
  } catch {
    // Private windows may refuse: then the choice lasts as long as the page.
  }
}

export function startTheme(): void {
  const buttons = byId('theme', HTMLFieldSetElement).querySelectorAll('input');
  const apply = (theme: string): void => {
    if (theme === 'light' || theme === 'dark') document.documentElement.dataset['theme'] = theme;
    else delete document.documentElement.dataset['theme'];
  };
  const theme = remembered() ?? 'auto';
  apply(theme);
  for (const button of buttons) {
    if (button.value === theme) button.checked = true;
    button.addEventListener('change', () => {
      apply(button.value);
      remember(button.value);
    });
  }
}
