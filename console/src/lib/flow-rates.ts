/**
 * Rows a second over the edges of a flow, over the last seconds: a flow moves in ticks, and between two of them nothing runs.
 * What a single look says would flicker between nothing and much.
 */
import type { Graph } from '../../../src/query/engine.ts'
import { edgeId } from './flow-layout.ts'

const windowMs = 6000

export class FlowRates {
  readonly #looks: { readonly atMs: number; readonly rows: ReadonlyMap<string, number> }[] = []

  /** The graph with each edge's rate over the window; as the server says it until two looks tell. */
  smooth(graph: Graph, nowMs: number): Graph {
    this.#looks.push({ atMs: nowMs, rows: new Map(graph.edges.map((e) => [edgeId(e), e.rows])) })
    // The oldest that is kept lies at the window's beginning or just before it.
    while (this.#looks.length > 2 && nowMs - this.#looks[1]!.atMs >= windowMs) this.#looks.shift()
    const first = this.#looks[0]!
    const seconds = (nowMs - first.atMs) / 1000
    if (seconds < 0.5) return graph
    return {
      ...graph,
      edges: graph.edges.map((edge) => {
        const before = first.rows.get(edgeId(edge))
        // Fewer than before: the flow began anew.
        return before === undefined || edge.rows < before
          ? edge
          : { ...edge, rowsPerSecond: (edge.rows - before) / seconds }
      }),
    }
  }
}
