/** What a running view can be asked for when its output is not what was expected: its operators and its sources' clocks. */
import { type Graph, type Node, sizesOf } from '../graph.ts'
import type { Plan, SourcePlan, ViewPlan } from '../plan.ts'
import type { At } from '../../log/log.ts'

export interface Examination {
  readonly view: ViewPlan
  /** Inputs before those who use them. */
  readonly nodes: readonly ExaminedNode[]
  readonly sources: readonly ExaminedSource[]
  /** Next offset that is not in what was committed, of every partition read. */
  readonly positions: readonly At[]
}
export interface ExaminedNode {
  readonly id: string
  readonly plan: Plan
  readonly label: string
  readonly inputs: readonly string[]
  /** Since the program started, committed. */
  readonly rowsIn: number
  readonly rowsOut: number
  readonly late: number
  readonly lateAfterIdle: number
  readonly failed: number
  readonly stateRows: number
  /** −Infinity before the first event. */
  readonly watermarkMs: number
  /** A later watermark alone would bring rows. */
  readonly waits: boolean
}
export interface ExaminedSource {
  readonly node: string
  readonly plan: SourcePlan
  readonly partitions: readonly {
    readonly partition: number
    /** Largest event time seen; −Infinity before the first row. */
    readonly maxTimeMs: number
    readonly watermarkMs: number
    readonly held: boolean
    readonly idle: boolean
    /** Processing time since it last brought a record. */
    readonly silentMs: number
    /** Events too far ahead of their arrival to move the watermark. */
    readonly future: number
  }[]
}

export function examine(
  { graph, view, positions }: { readonly graph: Graph; readonly view: ViewPlan; readonly positions: readonly At[] },
  nowMs: number,
): Examination {
  return {
    view,
    nodes: graph.nodes.map(nodeOf),
    sources: graph.sources.map(({ node, plan, clock }) => ({
      node: String(node.id),
      plan,
      partitions: clock.all(nowMs).map(({ partition, maxTimeMs, held, idle, silentMs, future }) => ({
        partition,
        maxTimeMs,
        watermarkMs: maxTimeMs - clock.options.delayMs,
        held,
        idle,
        silentMs,
        future,
      })),
    })),
    positions,
  }
}
function nodeOf(node: Node): ExaminedNode {
  const { id, plan, label, inputs, counts, tables, watermark, operator } = node
  return {
    id: String(id),
    plan,
    label,
    inputs: inputs.map((input) => String(input.id)),
    ...counts,
    stateRows: sizesOf(node).rows,
    watermarkMs: watermark,
    waits: operator?.waits(tables) ?? false,
  }
}
