// The dashboard, for every component below the page.
import { createContext } from 'svelte';

import type { Dashboard } from './dashboard.svelte';

export const [getDashboard, setDashboard] = createContext<Dashboard>();
