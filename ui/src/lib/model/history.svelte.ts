// A search through everything stored: its rows, page by page, and the figures over all that match.
import { fetchFigures, fetchRows, type RowsQuery } from '../link/api';
import { baseName, shortId } from '../names';
import type { Figures, Row, Seq, Share } from '../protocol';
import { FACETS, type Facets, type FacetValue } from '../query/facets';
import { inOrder } from './sorted';

const PAGE_ROWS = 200;
/** Most rows kept in the page; a search that finds more wants another word. */
const ROWS_MAX = 20_000;

export type Search = { state: 'searching' } | { state: 'failed'; message: string } | { state: 'found' };
/** What a search asks for. */
export type Wanted = Pick<RowsQuery, 'query' | 'from' | 'to'>;

export class History {
  #abort = new AbortController();
  #wanted: Wanted = {};
  #rows: Row[] = [];
  #version = $state(0);
  #search = $state.raw<Search>({ state: 'searching' });
  #figures = $state.raw<Figures | null>(null);
  #olderExist = $state(false);
  #older = $state<'idle' | 'loading' | 'failed'>('idle');
  #upTo = $state<Seq>(0);

  /** Changes with the rows. */
  get version(): number {
    return this.#version;
  }

  /** What was found, oldest first. Not a copy: never keep it. */
  get shown(): readonly Row[] {
    return this.#version >= 0 ? this.#rows : [];
  }

  get search(): Search {
    return this.#search;
  }

  /** Figures over everything that matches; null until they are there. */
  get figures(): Figures | null {
    return this.#figures;
  }

  get olderExist(): boolean {
    return this.#olderExist;
  }

  get older(): 'idle' | 'loading' | 'failed' {
    return this.#older;
  }

  /** Position up to which was searched. */
  get upTo(): Seq {
    return this.#upTo;
  }

  get full(): boolean {
    return this.shown.length + PAGE_ROWS > ROWS_MAX;
  }

  /** Searches; an earlier search that is still running is given up. */
  async find(wanted: Wanted): Promise<void> {
    this.stop();
    this.#abort = new AbortController();
    const { signal } = this.#abort;
    this.#wanted = wanted;
    this.#search = { state: 'searching' };
    this.#older = 'idle';
    const rows = fetchRows({ ...wanted, limit: PAGE_ROWS }, signal);
    const figures = fetchFigures(wanted, signal);
    // The rows do not wait for the figures, which look at far more.
    void figures.then(
      (found) => {
        if (!signal.aborted) this.#figures = found;
      },
      () => undefined,
    );
    try {
      const page = await rows;
      if (signal.aborted) return;
      this.#rows = [...inOrder(page.events)];
      this.#olderExist = page.has_more;
      this.#upTo = page.position ?? 0;
      this.#search = { state: 'found' };
      this.#version += 1;
    } catch (error) {
      if (signal.aborted) return;
      this.#search = { state: 'failed', message: error instanceof Error ? error.message : String(error) };
    }
  }

  /** Loads the matches before the first one. */
  async loadOlder(): Promise<void> {
    const first = this.#rows[0];
    if (first === undefined || !this.#olderExist || this.#older === 'loading' || this.full) return;
    const { signal } = this.#abort;
    this.#older = 'loading';
    try {
      const page = await fetchRows({ ...this.#wanted, before: first.seq, limit: PAGE_ROWS }, signal);
      if (signal.aborted) return;
      this.#rows = [...inOrder(page.events), ...this.#rows];
      this.#olderExist = page.has_more;
      this.#older = 'idle';
      this.#version += 1;
    } catch {
      if (!signal.aborted) this.#older = 'failed';
    }
  }

  /** Gives up what is running. */
  stop(): void {
    this.#abort.abort();
  }
}

/** The figures as facets. */
export function facetsOf(figures: Figures): Facets {
  const values = (shares: readonly Share[]): FacetValue[] =>
    shares.map(({ name, events }) => ({ value: name, count: events }));
  const facets = {
    status: [
      { value: 'ok', count: figures.events - figures.errors },
      { value: 'error', count: figures.errors },
    ].filter(({ count }) => count > 0),
    tool: values(figures.tools),
    kind: values(figures.kinds),
    project: values(figures.projects),
    agent: values(figures.agents),
    session: figures.sessions.map(({ name, events, project }) => ({
      value: name,
      count: events,
      hint: project === undefined ? name : `${baseName(project)} ${shortId(name)}`,
    })),
  };
  return facets satisfies Record<(typeof FACETS)[number], FacetValue[]>;
}
