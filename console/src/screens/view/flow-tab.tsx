/** The dataflow of a view: operators, what runs between them, how far event time is on each edge, and what to look at first. */
import type { RefObject } from 'preact'
import { useEffect, useRef, useState } from 'preact/hooks'
import type { Graph } from '../../../../src/gateway/http/api.ts'
import { bytes, compact, count, duration, shortTime } from '../../lib/format.ts'
import { edgeId, fitOf, nodeSize, placeBoth, shapeOf } from '../../lib/flow-layout.ts'
import type { Direction, Placed } from '../../lib/flow-layout.ts'
import { isSource, rateOf, readFlow } from '../../lib/flow-reading.ts'
import type { Edge, Node, Reading } from '../../lib/flow-reading.ts'
import { apiUrl } from '../../lib/http.ts'
import { useResource } from '../../lib/hooks.ts'
import { param, setQuery } from '../../lib/location.ts'
import { Badge, Button, Empty, Facts, Loading } from '../../parts/bits.tsx'
import { ProblemBox } from '../../parts/problem.tsx'
import { Causes } from './causes.tsx'

export function FlowTab({ name }: { readonly name: string }) {
  const { data: graph, error, refresh } = useResource<Graph>(apiUrl(['views', name, 'graph']), 1000)
  const place = useRef<HTMLDivElement>(null)
  const fit = useFit(graph, place)
  const selected = graph?.nodes.find((n) => n.id === param('node')) ?? null
  return (
    <>
      {error !== null && <ProblemBox error={error} retry={refresh} />}
      {graph === null && error === null && <Loading what="the flow" />}
      {graph !== null && graph.nodes.length === 0 && <Empty title="This view has no flow of its own." />}
      {graph !== null && graph.nodes.length > 0 && (
        <>
          <ReadingLine reading={readFlow(graph)} />
          <Causes of={['views', name]} />
          <div class={selected === null ? 'flow-body' : 'flow-body with-detail'}>
            <div
              class={fit?.direction === 'TB' ? 'flow downwards' : 'flow'}
              ref={place}
              tabIndex={0}
              role="group"
              aria-label="Dataflow"
            >
              {fit === null ? (
                <Loading what="the layout" />
              ) : (
                <Drawing
                  graph={graph}
                  placed={fit.placed}
                  scale={fit.scale}
                  selected={selected}
                  reading={readFlow(graph)}
                />
              )}
            </div>
            {selected !== null && <NodeDetail node={selected} graph={graph} />}
          </div>
        </>
      )}
    </>
  )
}

type Fit = { readonly placed: Placed; readonly direction: Direction; readonly scale: number }
/** Smaller than this nobody reads it: then it scrolls. */
const scaleMin = 0.8

/** The layout that fits its place better, drawn as small as needed. */
function useFit(graph: Graph | null, place: RefObject<HTMLDivElement | null>): Fit | null {
  const [both, setBoth] = useState<{ shape: string; placed: Readonly<Record<Direction, Placed>> } | null>(null)
  const [size, setSize] = useState({ width: 0, height: 0 })
  const shape = graph === null ? null : shapeOf(graph)
  useEffect(() => {
    if (graph === null || shape === null) return
    let wanted = true
    void placeBoth(graph).then((placed) => {
      if (wanted) setBoth({ shape, placed })
    })
    return () => {
      wanted = false
    }
  }, [shape])
  useEffect(() => {
    const element = place.current
    if (element === null) return
    const observer = new ResizeObserver(() => setSize({ width: element.clientWidth, height: element.clientHeight }))
    observer.observe(element)
    return () => observer.disconnect()
  }, [graph === null])
  if (both === null || both.shape !== shape || size.width === 0) return null
  const [sideways, down] = (['LR', 'TB'] as const).map((direction) =>
    fitOf(both.placed[direction], size.width, size.height),
  )
  const direction: Direction = sideways! >= Math.min(0.95, down!) ? 'LR' : 'TB'
  const placed = both.placed[direction]
  return { placed, direction, scale: Math.max(scaleMin, Math.min(1, size.width / placed.width)) }
}

function ReadingLine({ reading }: { readonly reading: Reading }) {
  return (
    <p class="reading" role="status" data-testid="reading">
      <Badge kind={reading.kind === 'free' ? 'good' : 'warn'}>
        {reading.kind === 'busy' ? 'bottleneck' : reading.kind === 'free' ? 'free' : 'held back'}
      </Badge>
      {reading.nodeId === null ? (
        reading.text
      ) : (
        <button type="button" class="link" onClick={() => setQuery({ node: reading.nodeId! })}>
          {reading.text}
        </button>
      )}
    </p>
  )
}

function Drawing({
  graph,
  placed,
  scale,
  selected,
  reading,
}: {
  readonly graph: Graph
  readonly placed: Placed
  readonly scale: number
  readonly selected: Node | null
  readonly reading: Reading
}) {
  return (
    <div
      class="flow-sheet"
      style={{
        width: `${placed.width}px`,
        height: `${placed.height}px`,
        transform: `scale(${scale})`,
        margin: scale < 1 ? `0 ${placed.width * (scale - 1)}px 0 0` : '0 auto',
      }}
    >
      <svg width={placed.width} height={placed.height} aria-hidden="true">
        {graph.edges.map((edge) => (
          <EdgeLine key={edgeId(edge)} edge={edge} path={placed.edges.get(edgeId(edge))?.path ?? ''} />
        ))}
      </svg>
      {graph.edges.map((edge) => (
        <EdgeLabel key={edgeId(edge)} edge={edge} at={placed.edges.get(edgeId(edge))} graph={graph} />
      ))}
      {graph.nodes.map((node) => (
        <NodeBox
          key={node.id}
          node={node}
          graph={graph}
          at={placed.nodes.get(node.id)}
          selected={selected?.id === node.id}
          named={reading.nodeId === node.id && reading.kind !== 'free'}
        />
      ))}
    </div>
  )
}

/** A channel: wider where more runs, its stripes moving with the rate. */
function EdgeLine({ edge, path }: { readonly edge: Edge; readonly path: string }) {
  const wide = 1.5 + Math.min(5, Math.log10(1 + edge.rowsPerSecond) * 1.2)
  // In three speeds, so that a rate that wavers does not make the stripes jump.
  const speed =
    edge.rowsPerSecond <= 0 ? '' : edge.rowsPerSecond < 10 ? 'slow' : edge.rowsPerSecond < 1000 ? 'steady' : 'fast'
  return (
    <g class={`edge ${speed}`}>
      <path class="edge-bed" d={path} stroke-width={wide + 2} />
      <path class="edge-water" d={path} stroke-width={wide} />
    </g>
  )
}

function EdgeLabel({
  edge,
  at,
  graph,
}: {
  readonly edge: Edge
  readonly at: { readonly x: number; readonly y: number } | undefined
  readonly graph: Graph
}) {
  if (at === undefined) return null
  const label = (id: string): string => graph.nodes.find((n) => n.id === id)?.label ?? id
  return (
    <p
      class="edge-label"
      style={{ left: `${at.x}px`, top: `${at.y}px` }}
      title={`${label(edge.from)} → ${label(edge.to)}: ${count(edge.rows)} rows in all`}
      data-testid="edge"
    >
      <b>{compact(edge.rowsPerSecond)}/s</b>
      <span title="Watermark">
        {edge.watermark === null ? 'no watermark' : shortTime(edge.watermark).replace(/\.\d+$/, '')}
      </span>
    </p>
  )
}

function NodeBox({
  node,
  graph,
  at,
  selected,
  named,
}: {
  readonly node: Node
  readonly graph: Graph
  readonly at: { readonly x: number; readonly y: number } | undefined
  readonly selected: boolean
  readonly named: boolean
}) {
  if (at === undefined) return null
  return (
    <button
      type="button"
      class={`node ${named ? 'named' : ''}`}
      aria-pressed={selected}
      style={{ left: `${at.x}px`, top: `${at.y}px`, width: `${nodeSize.width}px`, height: `${nodeSize.height}px` }}
      onClick={() => setQuery({ node: selected ? '' : node.id })}
    >
      <span class="node-kind">
        {node.kind}
        {node.busy !== undefined && <Busy share={node.busy} />}
      </span>
      <span class="node-label" title={node.label}>
        {node.label}
      </span>
      <span class="node-facts">
        <span>
          {compact(rateOf(node, graph))}/s
          {!isSource(node, graph) && node.stateRows > 0 && <> · {compact(node.stateRows)} kept</>}
        </span>
        {node.late > 0 && <span class="warn-text">{compact(node.late)} late</span>}
      </span>
    </button>
  )
}

const Busy = ({ share }: { readonly share: number }) => (
  <span class={share >= 0.7 ? 'busy high' : 'busy'} title={`At work ${Math.round(share * 100)} % of the time`}>
    <i style={{ width: `${Math.min(100, share * 100)}%` }} />
  </span>
)

function NodeDetail({ node, graph }: { readonly node: Node; readonly graph: Graph }) {
  const newest = Math.max(...graph.nodes.map((n) => (n.watermark === null ? -Infinity : Date.parse(n.watermark))))
  const behind = node.watermark === null ? null : newest - Date.parse(node.watermark)
  return (
    <aside class="detail" aria-label={node.label}>
      <header class="detail-head">
        <h2>
          {node.label} <span class="muted">{node.kind}</span>
        </h2>
        <Button kind="quiet" icon="close" title="Close" onClick={() => setQuery({ node: '' })} />
      </header>
      <Facts
        of={[
          ['Rows in', count(node.rowsIn)],
          ['Rows out', count(node.rowsOut)],
          ['Rate', `${compact(rateOf(node, graph))} rows/s`],
          ['Late', <span class={node.late > 0 ? 'warn-text' : ''}>{count(node.late)}</span>],
          ['State', `${count(node.stateRows)} entries, ${bytes(node.stateBytes)}`],
          ...(node.busy === undefined ? [] : ([['At work', `${Math.round(node.busy * 100)} % of the time`]] as const)),
          ['Watermark', node.watermark === null ? 'none yet' : shortTime(node.watermark)],
          ...(behind !== null && behind >= 1000 ? ([['Behind the newest', duration(behind)]] as const) : []),
        ]}
      />
    </aside>
  )
}
