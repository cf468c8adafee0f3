/** Plain SELECTs are accepted and refused exactly as PostgreSQL's own parser does. */
import assert from 'node:assert/strict'
import { before, describe, test } from 'node:test'
import fc from 'fast-check'
import { loadModule, parseSync } from 'libpg-query'
import { SqlFault } from '../../../src/sql/fault.ts'
import { parseStatements } from '../../../src/sql/syntax/parse.ts'
import { corpus } from './corpus.ts'

before(loadModule)

type Verdict = 'accepted' | 'refused' | 'unsupported'
function ours(text: string): Verdict {
  try {
    parseStatements(text)
    return 'accepted'
  } catch (error) {
    if (!(error instanceof SqlFault)) throw error
    return error.code === 'sql.unsupported' ? 'unsupported' : 'refused'
  }
}
function theirs(text: string): Verdict {
  try {
    parseSync(text)
    return 'accepted'
  } catch {
    return 'refused'
  }
}
/** Accepted there, refused here on purpose. */
function knownDifference(text: string): string | null {
  // `SELECT a and` labels the column "and" there; here it is an unfinished condition.
  const label = /"name":"(and|or|not|is|in|like|ilike|similar|between|collate|at|isnull|operator|any|some|all)"/
  if (label.test(JSON.stringify(parseSync(text)))) return 'an operator word as a label without AS'
  // The library's scanner is patched for parameters; PostgreSQL itself refuses both.
  if (/\$\d+[a-z_]|[\w")] \$\d/i.test(text)) return 'a letter behind a parameter, a parameter as a label'
  // Refused there one step later.
  if (/^values/i.test(text)) return 'VALUES lists of different lengths'
  return null
}
/** What we say we do not support may be either; all else must agree. */
function agree(text: string): void {
  const mine = ours(text)
  if (mine === 'unsupported') return
  const there = theirs(text)
  // NULLS FIRST is one token there, wherever it stands.
  if (mine === 'accepted' && there === 'refused' && /nulls\s+(first|last)/.test(text)) return
  if (mine === 'refused' && there === 'accepted' && knownDifference(text) !== null) return
  assert.equal(mine, there, text)
}

describe('agreement with the parser of PostgreSQL', () => {
  test('on every text of the corpus', () => {
    for (const text of corpus) agree(text)
  })
  test('most of the corpus is supported syntax', () => {
    const refused = corpus.filter((text) => ours(text) === 'unsupported')
    assert.ok(refused.length < corpus.length / 20, refused.join('\n'))
  })

  const vocabulary = `
    a b t "Q" 1 2.5 .5 's' $1 null true * + - / % ^ = <> < >= || -> ->> @> ::int ::numeric(3,1) ( ) ( ) , . [ ]
    and or not is in like between null distinct from case when then else end interval '1_day' cast as select
    count filter over partition by order group having limit union all join on left values with exists extract at
    time zone collate any array row using natural cross where desc nulls first escape timestamp date lateral
    isnull similar to rows current_date`
  const word = fc.constantFrom(
    ...vocabulary
      .trim()
      .split(/\s+/)
      .map((w) => w.replace("'1_day'", "'1 day'")),
  )
  test('on random runs of words', () => {
    fc.assert(
      fc.property(fc.array(word, { maxLength: 12 }), (words) => agree(`select ${words.join(' ')}`)),
      { numRuns: 4000 },
    )
  })

  const { expr } = fc.letrec<{ expr: string }>((tie) => ({
    expr: fc.oneof(
      { maxDepth: 4, withCrossShrink: true },
      fc.constantFrom(
        'a',
        't.b',
        '1',
        "'x'",
        'null',
        '$1',
        'true',
        'count(*)',
        "date '2020-01-01'",
        'f(a, b)',
        'current_timestamp',
      ),
      fc
        .tuple(
          tie('expr'),
          fc.constantFrom(
            '+',
            '-',
            '*',
            '/',
            '%',
            '^',
            '||',
            '=',
            '<',
            '<>',
            'and',
            'or',
            '->',
            '@>',
            'like',
            'is distinct from',
            'at time zone',
          ),
          tie('expr'),
        )
        .map(([l, op, r]) => `${l} ${op} ${r}`),
      fc.tuple(fc.constantFrom('not', '-', '+', '~', '@'), tie('expr')).map(([op, x]) => `${op} ${x}`),
      fc
        .tuple(
          tie('expr'),
          fc.constantFrom(
            'is null',
            'is not true',
            '::text',
            '::int[]',
            'isnull',
            'in (1, 2)',
            'not in (select 1)',
            '= any(b)',
            'collate "C"',
          ),
        )
        .map(([x, op]) => `${x} ${op}`),
      tie('expr').map((x) => `(${x})`),
      fc.tuple(tie('expr'), tie('expr'), tie('expr')).map(([x, l, h]) => `${x} between ${l} and ${h}`),
      fc.tuple(tie('expr'), tie('expr')).map(([c, x]) => `case when ${c} then ${x} end`),
      fc.tuple(tie('expr'), tie('expr')).map(([x, y]) => `(select ${x} from t where ${y})`),
    ),
  }))
  test('on random expressions', () => {
    fc.assert(
      fc.property(expr, (text) => agree(`select ${text} from t`)),
      { numRuns: 3000 },
    )
  })
})
