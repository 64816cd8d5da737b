// Counting rows by what they have in common: what the facets and the completion of queries offer.
import { baseName, shortId } from '../names';
import type { Row } from '../protocol';
import { MAIN, type Field } from './query';
import { inSlices } from './slices';

export type FacetField = Exclude<Field, 'dur' | 'id'>;
export const FACETS: readonly FacetField[] = ['status', 'tool', 'kind', 'session', 'project', 'agent'];

/** A value of a field, as a query would name it, and how many rows have it. */
export interface FacetValue {
  value: string;
  count: number;
  /** What tells people more than the value, such as a session's project. */
  hint?: string | undefined;
}

export type Facets = Readonly<Record<FacetField, readonly FacetValue[]>>;

/** Values beyond the most frequent ones are found by typing. */
const VALUES_MAX = 200;

/** Counts the rows; nothing when it was stopped. */
export async function countFacets(rows: readonly Row[], signal: AbortSignal): Promise<Facets | undefined> {
  const counts = FACETS.map(() => new Map<string, number>());
  const [status, tool, kind, session, project, agent] = counts as [
    Counts,
    Counts,
    Counts,
    Counts,
    Counts,
    Counts,
  ];
  const projects = new Map<string, string>();
  const finished = await inSlices(
    rows.length,
    (index) => {
      const row = rows[index];
      // Rows may have been dropped meanwhile.
      if (row === undefined) return;
      add(status, row.is_error ? 'error' : 'ok');
      add(kind, row.kind);
      add(agent, row.agent_id === undefined ? MAIN : (row.agent_type ?? row.agent_id));
      if (row.tool_name !== undefined) add(tool, row.tool_name);
      if (row.session_id !== undefined) {
        add(session, row.session_id);
        if (row.project !== undefined) projects.set(row.session_id, row.project);
      }
      if (row.project !== undefined) add(project, row.project);
    },
    signal,
  );
  if (!finished) return undefined;
  return {
    status: sorted(status),
    tool: sorted(tool),
    kind: sorted(kind),
    agent: sorted(agent),
    project: sorted(byName(project)),
    session: sorted(session).map((found) => ({ ...found, hint: sessionHint(found.value, projects) })),
  };
}

type Counts = Map<string, number>;

function add(counts: Counts, value: string): void {
  counts.set(value, (counts.get(value) ?? 0) + 1);
}

/** Paths by the name of their folder: a few, so this is done once for each and not for each row. */
function byName(paths: Counts): Counts {
  const names: Counts = new Map();
  for (const [path, count] of paths) {
    const name = baseName(path);
    names.set(name, (names.get(name) ?? 0) + count);
  }
  return names;
}

function sorted(counts: Counts): FacetValue[] {
  const values = [...counts].map(([value, count]) => ({ value, count }));
  return values.sort((a, b) => b.count - a.count || (a.value < b.value ? -1 : 1)).slice(0, VALUES_MAX);
}

function sessionHint(id: string, projects: ReadonlyMap<string, string>): string {
  const project = projects.get(id);
  return project === undefined ? shortId(id) : `${baseName(project)} ${shortId(id)}`;
}
