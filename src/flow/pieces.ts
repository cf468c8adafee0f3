/**
 * One step of a graph, in one pass over its nodes or in pieces. Of an operator that makes very many rows of few (a join, a
 * window) one piece goes through all that stand behind it before it makes the next: at any time there is one piece of each.
 * The last of those that are not done yet goes on first.
 *
 * A node behind one that is not done sees no new watermark yet: what is still to come could be late then. It takes pieces as
 * steps of their own, which is the same to it (a step may be cut anywhere). Only rows that are looked up (`Operator.asks`) must
 * all be there before the first that asks for them.
 */
import { type Batch, emptyBatch } from './batch.ts'
import { concatenate } from './concatenate.ts'
import type { Counts, Node, StepResult } from './graph.ts'
import type { Pieces, StepTime } from './operator.ts'

/** What went through the nodes in one pass over them. */
export class Pass {
  private readonly rows: ReadonlyMap<number, Batch>
  private readonly outputs = new Map<Node, Batch>()
  private readonly late: StepResult['late'][number][] = []
  private readonly failed: StepResult['failed'][number][] = []

  /** `rows`: of the sources, by index. */
  constructor(rows: ReadonlyMap<number, Batch>) {
    this.rows = rows
  }
  inputsOf(node: Node): readonly Batch[] {
    return node.source === null
      ? node.inputs.map((input) => this.outputs.get(input) ?? emptyBatch)
      : [this.rows.get(node.source.index) ?? emptyBatch]
  }
  gave(node: Node, batches: readonly Batch[], out: Batch): void {
    if (out.late !== null) this.late.push({ node, rows: out.late })
    if (out.failed !== null) this.failed.push({ node, rows: out.failed })
    count(node.pending, batches, out)
    // Told once: whoever passes the batch on passes only its rows on.
    this.outputs.set(node, out.late === null && out.failed === null ? out : { ...out, late: null, failed: null })
  }
  result(output: Node): StepResult {
    const { late, failed } = this
    return { out: this.outputs.get(output) ?? emptyBatch, late, failed }
  }
}
function count(counts: Counts, batches: readonly Batch[], out: Batch): void {
  for (const batch of batches) counts.rowsIn += batch.count
  counts.rowsOut += out.count
  counts.late += out.late?.count ?? 0
  counts.lateAfterIdle += out.late?.afterIdle ?? 0
  counts.failed += out.failed?.batch.count ?? 0
}

interface Steps {
  /** In an order in which inputs come first. */
  readonly nodes: readonly Node[]
  readonly output: Node
  /** Moves the node's watermark. */
  readonly advance: (node: Node) => StepTime
  readonly standing: (node: Node) => StepTime
  readonly run: (node: Node, batches: readonly Batch[], time: StepTime) => Batch
  readonly begin: (node: Node, batches: readonly Batch[], time: StepTime) => Pieces
  readonly measured: <T>(node: Node, work: () => T) => T
  /** Its watermark has moved, and it has given everything. */
  readonly settle: (node: Node) => void
}

export function* inPieces(first: Pass, steps: Steps): Generator<StepResult, void> {
  const run = new Run(steps)
  let pass = first
  for (let from = 0; from >= 0; from = run.unfinished()) {
    run.pass(pass, from)
    yield pass.result(steps.output)
    pass = new Pass(new Map())
  }
}

class Run {
  private readonly steps: Steps
  /** Those that are not done with what they were given. */
  private readonly running = new Map<Node, Pieces>()
  /** Their watermark has moved: nothing more comes to them. */
  private readonly moved = new Set<Node>()
  private readonly settled = new Set<Node>()
  /** What waits for the last of its input. */
  private readonly waiting = new Map<Node, (readonly Batch[])[]>()

  constructor(steps: Steps) {
    this.steps = steps
  }
  /** The last node that is not done; −1: all are. */
  unfinished(): number {
    return this.steps.nodes.findLastIndex((node) => this.running.has(node))
  }
  pass(pass: Pass, from: number): void {
    for (const node of this.steps.nodes.slice(from)) {
      const running = this.running.get(node)
      if (running !== undefined) pass.gave(node, [], this.next(node, running))
      else if (!this.settled.has(node)) this.visit(pass, node)
    }
  }
  private visit(pass: Pass, node: Node): void {
    const batches = pass.inputsOf(node)
    const isLast = node.inputs.every((input) => this.settled.has(input))
    const isEmpty = batches.every(({ count }) => count === 0)
    if (isLast) this.moved.add(node)
    else if (isEmpty) return
    else if (node.operator?.asks === true && !node.inputs.slice(1).every((input) => this.settled.has(input))) {
      this.waiting.set(node, [...(this.waiting.get(node) ?? []), batches])
      return
    }
    const all = isLast ? this.withWaiting(node, batches) : batches
    const time = isLast ? this.steps.advance(node) : this.steps.standing(node)
    if (isEmpty || node.operator?.pieces === undefined) {
      pass.gave(node, batches, this.steps.run(node, all, time))
      if (isLast) this.settle(node)
    } else pass.gave(node, batches, this.next(node, this.steps.begin(node, all, time)))
  }
  private withWaiting(node: Node, batches: readonly Batch[]): readonly Batch[] {
    const waiting = this.waiting.get(node)
    if (waiting === undefined) return batches
    return batches.map((last, input) => {
      const parts = [...waiting.map((some) => some[input]!), last].filter(({ count }) => count > 0)
      return parts.length < 2 ? (parts[0] ?? emptyBatch) : concatenate(parts, node.inputs[input]!.columns)
    })
  }
  private next(node: Node, pieces: Pieces): Batch {
    const { done, value } = this.steps.measured(node, () => pieces.next())
    if (done === true) {
      this.running.delete(node)
      if (this.moved.has(node)) this.settle(node)
    } else this.running.set(node, pieces)
    return value
  }
  private settle(node: Node): void {
    this.settled.add(node)
    this.steps.settle(node)
  }
}
