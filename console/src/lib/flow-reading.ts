/**
 * What a dataflow graph says, in words: which operator limits it, what holds its watermark back, which input waits for
 * which. Names the one thing to look at first.
 */
import type { Graph } from '../../../src/query/engine.ts'
import { duration } from './format.ts'

export type Node = Graph['nodes'][number]
export type Edge = Graph['edges'][number]
export interface Reading {
  /** The operator to look at; null when the flow runs free. */
  readonly nodeId: string | null
  readonly kind: 'busy' | 'held-back' | 'waits' | 'free'
  readonly text: string
}

/** An operator that is at work more than this share of the time limits what is behind it. */
const busyFrom = 0.7

export function readFlow(graph: Graph): Reading {
  return (
    busiest(graph) ??
    heldBack(graph) ??
    waiting(graph) ?? { nodeId: null, kind: 'free', text: 'Nothing holds this flow back.' }
  )
}

function busiest(graph: Graph): Reading | null {
  const node = graph.nodes.reduce<Node | null>((most, n) => ((n.busy ?? 0) > (most?.busy ?? 0) ? n : most), null)
  if (node === null || (node.busy ?? 0) < busyFrom) return null
  return {
    nodeId: node.id,
    kind: 'busy',
    text: `${node.label} is the bottleneck: at work ${Math.round((node.busy ?? 0) * 100)} % of the time.`,
  }
}

function heldBack(graph: Graph): Reading | null {
  if (graph.heldBackBy === null) return null
  const source =
    graph.nodes.find((n) => isSource(n, graph) && graph.heldBackBy?.startsWith(n.label)) ?? slowestSource(graph)
  return { nodeId: source?.id ?? null, kind: 'held-back', text: `The watermark is held back by ${graph.heldBackBy}.` }
}

/** Two inputs of one operator stand at different times: the earlier one is waited for. */
function waiting(graph: Graph): Reading | null {
  let worst: { edge: Edge; to: Node; behindMs: number } | null = null
  for (const to of graph.nodes) {
    const known = graph.edges.filter((e) => e.to === to.id && e.watermark !== null)
    const newest = Math.max(...known.map((e) => Date.parse(e.watermark!)))
    for (const edge of known) {
      const behindMs = newest - Date.parse(edge.watermark!)
      if (behindMs > 1000 && behindMs > (worst?.behindMs ?? 0)) worst = { edge, to, behindMs }
    }
  }
  if (worst === null) return null
  const from = graph.nodes.find((n) => n.id === worst.edge.from)
  return {
    nodeId: worst.edge.from,
    kind: 'waits',
    text: `${worst.to.label} waits for ${from?.label ?? worst.edge.from}, ${duration(worst.behindMs)} of event time behind its other input.`,
  }
}

export const isSource = (node: Node, graph: Graph): boolean => !graph.edges.some((e) => e.to === node.id)

function slowestSource(graph: Graph): Node | null {
  const sources = graph.nodes.filter((n) => isSource(n, graph) && n.watermark !== null)
  return sources.reduce<Node | null>(
    (slowest, n) => (slowest === null || n.watermark! < slowest.watermark! ? n : slowest),
    null,
  )
}

/** Rows a second into a node: what comes over its edges, or for a source what leaves it. */
export function rateOf(node: Node, graph: Graph): number {
  const incoming = graph.edges.filter((e) => e.to === node.id)
  const edges = incoming.length > 0 ? incoming : graph.edges.filter((e) => e.from === node.id)
  return edges.reduce((sum, e) => sum + e.rowsPerSecond, 0)
}
