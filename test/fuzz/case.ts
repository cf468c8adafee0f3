/** The query of a seed, and the dataset it is asked of: ten seeds share one. */
import { Chance } from './chance.ts'
import type { Query } from './node.ts'
import { Queries } from './whole-query.ts'
import { type Dataset, randomDataset } from './tables.ts'

export interface Case {
  readonly seed: number
  readonly dataset: Dataset
  readonly query: Query
}
const queriesPerDataset = 10

export function* cases(seed: number, count: number): Generator<Case> {
  let dataset: Dataset | null = null
  let number = NaN
  for (let i = 0; i < count; i++) {
    const own = seed + i
    const wanted = Math.floor(own / queriesPerDataset)
    if (dataset === null || number !== wanted) dataset = randomDataset(new Chance(wanted * 7919 + 17))
    number = wanted
    yield { seed: own, dataset, query: new Queries(new Chance(own), dataset.relations).query() }
  }
}
