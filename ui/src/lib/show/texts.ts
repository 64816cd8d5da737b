// Every text of the page, in the language of the reader. English is always here; the other is fetched before
// the page is drawn.
import { language } from './language';
import { en, type Texts } from './texts/en';

export let texts: Texts = en;

/** Fetches the catalogue of the page's language; to be awaited before any file that reads `texts` is loaded. */
export async function loadTexts(): Promise<void> {
  if (language === 'zh-CN') texts = (await import('./texts/zh-cn')).zhCN;
}
