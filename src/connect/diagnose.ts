/** Why does nothing flow? Facts in, causes out, the likeliest first. A connector that does what it should has none. */
import { about } from '../lib/duration.ts'
import type { Diagnosis } from '../query/engine.ts'
import type { ConnectorFacts } from './doctor-facts.ts'

type Cause = Omit<Diagnosis, 'node' | 'sure'> & { readonly sure?: 'likely' }

export function diagnose(facts: ConnectorFacts): Diagnosis[] {
  const standing = [paused(facts), failed(facts)].flat()
  const causes =
    standing.length > 0 ? standing : [waiting(facts), noTopics(facts), stuck(facts), nothingNew(facts)].flat()
  return [...causes, ...setAside(facts)].map((cause) => ({ sure: 'yes', node: null, ...cause }))
}

function paused({ info: { name, status, fault, faultAt } }: ConnectorFacts): Cause[] {
  if (status !== 'paused') return []
  const before = fault === null ? [] : [`its last fault, at ${faultAt}: ${fault.code}: ${fault.message}`]
  const remedy = `millrace connector resume ${name}`
  return [{ code: 'paused', says: 'The connector is paused: it keeps its place.', evidence: before, remedy }]
}

function failed({ info }: ConnectorFacts): Cause[] {
  const { name, status, fault, faultAt, restartsAt, restarts } = info
  if (status !== 'failed' || fault === null) return []
  const since = faultAt === null ? [] : [`since ${faultAt}`]
  const tried = restarts === 0 ? [] : [`started again ${restarts} ${restarts === 1 ? 'time' : 'times'} so far`]
  const evidence = [`${fault.code}: ${fault.hint}`, ...since, ...tried]
  if (restartsAt === null) {
    const remedy = `Mend that, then millrace connector resume ${name}`
    return [{ code: 'failed', says: `The connector stopped: ${fault.message}.`, evidence, remedy }]
  }
  const code = unreachable.has(fault.code) ? 'unreachable' : 'restarting'
  const says =
    code === 'unreachable'
      ? `The other side cannot be reached: ${fault.message}.`
      : `The connector stopped and will start again by itself: ${fault.message}.`
  const remedy = `It is tried again at ${restartsAt}; millrace connector resume ${name} tries at once.`
  return [{ code, says, evidence, remedy }]
}
const unreachable = new Set(['connect.unavailable', 'cluster.unavailable'])

function waiting({ waitsFor, info: { name } }: ConnectorFacts): Cause[] {
  if (waitsFor === null) return []
  if (waitsFor === 'the other side')
    return [
      {
        code: 'opening',
        says: 'The other side has not answered yet: nothing is carried over before it does.',
        evidence: [],
        remedy: 'Check that it runs and can be reached from here; a refusal or a time-out will be said here.',
      },
    ]
  return [
    {
      code: 'elsewhere',
      sure: 'likely',
      says: 'This process does not run it: another one does, or it is just being handed over.',
      evidence: [`whoever leads the group _millrace_connector.${name} runs it`],
      remedy: `millrace group show _millrace_connector.${name} says who that is; ask there.`,
    },
  ]
}

function noTopics({ topics, info: { name } }: ConnectorFacts): Cause[] {
  if (topics === null) return []
  if (topics.pattern !== null && topics.found.length === 0)
    return [
      {
        code: 'no-topic',
        says: `No topic's whole name matches ${topics.pattern}.`,
        evidence: ['names that begin with _ are left out'],
        remedy: `Make such a topic, or millrace connector alter ${name} --set topics.pattern=…`,
      },
    ]
  if (topics.missing.length === 0) return []
  return [
    {
      code: 'no-topic',
      says: `There is no topic ${topics.missing.slice(0, namesMax).join(', ')}.`,
      evidence: topics.found.length === 0 ? [] : [`carried out are ${topics.found.slice(0, namesMax).join(', ')}`],
      remedy: `It is carried out when it is made; else millrace connector alter ${name} --set topics=…`,
    },
  ]
}
const namesMax = 10

/** There is something to carry, and none of it moves. */
function stuck({ info, waitsFor, nowMs }: ConnectorFacts): Cause[] {
  const { lag, carriedAt, status, fault, faultAt } = info
  if (status !== 'running' || waitsFor !== null || lag === null || lag === 0) return []
  const still = carriedAt === null ? null : nowMs - Date.parse(carriedAt)
  if (still !== null && still < stuckMs) return []
  const before = fault === null ? [] : [`its last fault, at ${faultAt}: ${fault.code}: ${fault.message}`]
  return [
    {
      code: 'stuck',
      sure: 'likely',
      says: `${lag} ${lag === 1 ? 'record waits' : 'records wait'}, and none has gone over ${still === null ? 'yet' : `for ${about(still)}`}.`,
      evidence: before,
      remedy: 'The side that takes them does not, or very slowly: look at its own log.',
    },
  ]
}
const stuckMs = 30_000

function nothingNew({ info, waitsFor, topics, nowMs }: ConnectorFacts): Cause[] {
  const { direction, lag, carriedAt, status } = info
  if (status !== 'running' || waitsFor !== null || topics?.found.length === 0 || (lag ?? 0) > 0) return []
  const still = carriedAt === null ? null : nowMs - Date.parse(carriedAt)
  if (still !== null && still < quietMs) return []
  const last = still === null ? 'Nothing has come yet' : `Nothing has come for ${about(still)}`
  const where = direction === 'source' ? 'on the other side' : 'in its topics'
  return [
    lag === 0
      ? {
          code: 'no-new-records',
          says: `${last}: it knows of no record ${where} that was not carried over.`,
          evidence: [],
          remedy: 'Write some. One that begins at the latest (start = latest) leaves out what lay there before.',
        }
      : {
          code: 'no-new-records',
          sure: 'likely',
          says: `${last}. How much waits on the other side cannot be seen from here.`,
          evidence: [],
          remedy: 'Check that somebody writes there, and that the names in its settings are those.',
        },
  ]
}
const quietMs = 60_000

function setAside({ info, refused }: ConnectorFacts): Cause[] {
  if (refused === null || refused.count === 0) return []
  const { topic, count, newest } = refused
  const evidence = [
    `${info.refused} since this process runs it, at most ${count} in all: they lie in ${topic}`,
    ...(newest === null ? [] : [`the newest, for ${newest.topic}: ${newest.reason}: ${newest.error}`]),
  ]
  const all = info.records === 0 && info.refused > 0
  const says = all
    ? 'Every record so far was refused and set aside.'
    : `Records were refused and set aside${info.refused === 0 ? ' earlier' : ''}.`
  const taker = info.direction === 'source' ? "the topic's contract" : 'the other side'
  const remedy = `See them with millrace tail ${topic} --from earliest, and mend what writes them or ${taker}; when they are of no use any more, delete that topic.`
  return [{ code: all ? 'all-refused' : 'refused', says, evidence, remedy }]
}
