// The agents of a session as a tree on paper: who started whom, from left to right.
import type { Agent } from '../protocol';

export interface GraphNode {
  /** None for the main thread. */
  agent: Agent | null;
  x: number;
  y: number;
}

export interface GraphEdge {
  from: GraphNode;
  to: GraphNode;
}

export interface Graph {
  nodes: readonly GraphNode[];
  edges: readonly GraphEdge[];
  /** Columns and rows. */
  width: number;
  height: number;
}

/** Places in units of columns and rows; a parent stands beside the middle of its children. */
export function graphOf(agents: readonly Agent[]): Graph {
  const known = new Set(agents.map(({ agent_id }) => agent_id));
  const childrenOf = (parent: string | null): Agent[] =>
    agents.filter((agent) => {
      const own =
        agent.parent.of === 'agent' && known.has(agent.parent.agent_id) ? agent.parent.agent_id : null;
      return own === parent;
    });
  const nodes: GraphNode[] = [];
  const edges: GraphEdge[] = [];
  const placed = new Set<string>();
  let row = 0;
  let width = 1;
  const place = (agent: Agent | null, x: number): GraphNode => {
    const node: GraphNode = { agent, x, y: 0 };
    width = Math.max(width, x + 1);
    const children = childrenOf(agent?.agent_id ?? null).filter(({ agent_id }) => !placed.has(agent_id));
    for (const child of children) placed.add(child.agent_id);
    const below = children.map((child) => place(child, x + 1));
    const [first, last] = [below[0], below.at(-1)];
    if (first === undefined || last === undefined) {
      node.y = row;
      row += 1;
    } else node.y = (first.y + last.y) / 2;
    nodes.push(node);
    for (const to of below) edges.push({ from: node, to });
    return node;
  };
  place(null, 0);
  return { nodes, edges, width, height: Math.max(1, row) };
}
