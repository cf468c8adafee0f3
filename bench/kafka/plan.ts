/** How long and how often everything is done: the full form, the quick one, and what the command line changes of either. */
export interface Plan {
  readonly runs: number
  readonly warmUpSeconds: number
  /** Of one run of a load: not counted, counted. */
  readonly leadInSeconds: number
  readonly seconds: number
  readonly consumeMessages: number
  readonly idleAfterMs: number
  readonly starts: number
  readonly topics: number
}
export interface PlanOptions {
  readonly quick: boolean
  readonly runs: number | null
  readonly seconds: number | null
}

const full: Plan = {
  runs: 5,
  warmUpSeconds: 25,
  leadInSeconds: 2,
  seconds: 8,
  consumeMessages: 2_000_000,
  idleAfterMs: 10_000,
  starts: 3,
  topics: 1_000,
}
const quick: Plan = {
  runs: 1,
  warmUpSeconds: 2,
  leadInSeconds: 0.5,
  seconds: 1.5,
  consumeMessages: 200_000,
  idleAfterMs: 1_500,
  starts: 1,
  topics: 200,
}
/** Read per second that a run is to last: so much is read from memory on two cores in about that time. */
const consumedPerSecond = 200_000

export function planOf({ quick: isQuick, runs, seconds }: PlanOptions): Plan {
  const plan = isQuick ? quick : full
  return {
    ...plan,
    runs: runs ?? plan.runs,
    starts: Math.min(plan.starts, runs ?? plan.starts),
    seconds: seconds ?? plan.seconds,
    leadInSeconds: Math.min(plan.leadInSeconds, seconds === null ? plan.leadInSeconds : seconds / 3),
    consumeMessages: seconds === null ? plan.consumeMessages : Math.round(seconds * consumedPerSecond),
  }
}
