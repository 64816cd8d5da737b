// Entry point: styles, the texts in the reader's language, and the page into its element.
import { mount } from 'svelte';

import { language } from './lib/show/language';
import { loadTexts } from './lib/show/texts';
import './styles/tokens.css';
import './styles/base.css';

const target = document.getElementById('app');
if (target === null) throw new Error('the page has no #app element');
document.documentElement.lang = language;
await loadTexts();
// Only now: the files of the page read the texts as they are loaded.
const { default: App } = await import('./App.svelte');
mount(App, { target });
