// Names as people know them: the folder of a path, the short id of a session, the tool behind its technical name.

/** The last part of a path, either kind of slash. */
export function baseName(path: string): string {
  return (
    path
      .replace(/[\\/]+$/, '')
      .split(/[\\/]/)
      .at(-1) ?? path
  );
}

/** The few characters by which people tell sessions of one project apart. */
export function shortId(id: string): string {
  return id.slice(0, 4);
}

/** A summary without the tool's name that it begins with. */
export function withoutTool(summary: string, tool: string | undefined): string {
  const lead = tool === undefined ? '' : `${toolLabel(tool)} `;
  return lead !== '' && summary.startsWith(lead) ? summary.slice(lead.length).trimStart() : summary;
}

/** `mcp__github__search_code` → `github search_code`, as the monitor's summaries spell it; others as they are. */
export function toolLabel(name: string): string {
  const mcp = /^mcp__(.+?)__(.+)$/.exec(name);
  return mcp ? `${mcp[1]} ${mcp[2]}` : name;
}
