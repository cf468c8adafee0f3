/** Places for the nodes of a dataflow and ways for its edges, by dagre (loaded with the first graph). */
import type { Graph } from '../../../src/query/engine.ts'

export interface Placed {
  readonly width: number
  readonly height: number
  readonly nodes: ReadonlyMap<string, { readonly x: number; readonly y: number }>
  readonly edges: ReadonlyMap<string, { readonly path: string; readonly x: number; readonly y: number }>
}
export const nodeSize = { width: 190, height: 88 } as const
/** Sideways a label stands on its edge (so it is given twice its height), downwards beside it. */
const labelSize = { LR: { width: 122, height: 68 }, TB: { width: 124, height: 38 } } as const
export type Direction = keyof typeof labelSize
export const edgeId = (edge: { readonly from: string; readonly to: string }): string => `${edge.from}\n${edge.to}`

/** Changes only when nodes or edges come or go: what runs through them does not move them. */
export const shapeOf = (graph: Graph): string =>
  JSON.stringify([graph.nodes.map((n) => n.id), graph.edges.map((e) => [e.from, e.to])])

/** Both ways to draw it; which fits better is a matter of the place. */
export async function placeBoth(graph: Graph): Promise<Readonly<Record<Direction, Placed>>> {
  return { LR: await placeFlow(graph, 'LR'), TB: await placeFlow(graph, 'TB') }
}

/** How much smaller it must be drawn to be seen whole. Height counts less: one scrolls down more easily than sideways. */
export function fitOf(placed: Placed, width: number, height: number): number {
  return Math.min(1, width / placed.width, (height * 1.25) / placed.height)
}

async function placeFlow(graph: Graph, direction: Direction): Promise<Placed> {
  const dagre = await import('@dagrejs/dagre')
  const layout = new dagre.Graph()
  layout.setGraph({
    rankdir: direction,
    nodesep: 24,
    ranksep: direction === 'LR' ? 12 : 10,
    edgesep: 12,
    marginx: 14,
    marginy: 14,
  })
  layout.setDefaultEdgeLabel(() => ({}))
  for (const node of graph.nodes) layout.setNode(node.id, { ...nodeSize })
  for (const edge of graph.edges)
    layout.setEdge(edge.from, edge.to, {
      ...labelSize[direction],
      labelpos: direction === 'LR' ? 'c' : 'r',
      labeloffset: 4,
    })
  dagre.layout(layout)
  const { width = 0, height = 0 } = layout.graph() as { width?: number; height?: number }
  return { width, height, nodes: nodesOf(graph, layout), edges: edgesOf(graph, layout) }
}

interface Laid {
  node(id: string): { x: number; y: number }
  edge(from: string, to: string): { x: number; y: number; points: { x: number; y: number }[] }
}

function nodesOf(graph: Graph, layout: Laid): Placed['nodes'] {
  return new Map(
    graph.nodes.map((node) => {
      const { x, y } = layout.node(node.id)
      return [node.id, { x: x - nodeSize.width / 2, y: y - nodeSize.height / 2 }]
    }),
  )
}

function edgesOf(graph: Graph, layout: Laid): Placed['edges'] {
  return new Map(
    graph.edges.map((edge) => {
      const { points, x, y } = layout.edge(edge.from, edge.to)
      return [edgeId(edge), { path: smooth(points), x, y }]
    }),
  )
}

/** Through the middle of each stretch, bent at the points between. */
function smooth(points: readonly { x: number; y: number }[]): string {
  const [first, ...rest] = points
  if (first === undefined) return ''
  const at = (p: { x: number; y: number }): string => `${p.x.toFixed(1)} ${p.y.toFixed(1)}`
  const bends = rest.slice(0, -1).map((p, i) => {
    const next = rest[i + 1]!
    return `Q${at(p)} ${at(i === rest.length - 2 ? next : { x: (p.x + next.x) / 2, y: (p.y + next.y) / 2 })}`
  })
  return `M${at(first)}${bends.join('')}L${at(rest.at(-1) ?? first)}`
}
