/** Everything that is not a plain query: definitions, INSERT, SUBSCRIBE, SHOW and their kin. */
import type { Name, ObjectKind, OnConflict, QualifiedName, StartFrom, Statement } from './ast.ts'
import { alterAlert, createAlert } from './alert.ts'
import { alterConnector, beginsConnector, createConnector, dropConnector } from './connector.ts'
import type { Cursor } from './cursor.ts'
import { createRelation, optionList, tableKey, withOptions } from './definitions.ts'
import { suggestion } from '../../lib/suggestion.ts'
import { alterHints, hintOfStatement, objectHints, statementHints } from './elsewhere.ts'
import { words } from './keywords.ts'
import { parseExpression } from './expressions.ts'
import { parseQuery } from './query.ts'

export function parseStatement(cursor: Cursor): Statement {
  const { at, word } = cursor.token
  const parse = Object.hasOwn(statements, word) ? statements[word] : undefined
  if (parse !== undefined) return parse(cursor, at)
  if (cursor.isWord('execute', 'begin') && cursor.isWordAhead(1, 'statement')) return statementSet(cursor, at)
  if (cursor.isMark('(')) return queryStatement(cursor, at)
  if (unsupportedStatements.has(word)) cursor.unsupported(word.toUpperCase(), at, statementHints[word])
  const near = suggestion(word, Object.keys(statements))
  return cursor.fail(
    ['SELECT', 'CREATE', 'INSERT', 'SUBSCRIBE', 'SHOW', 'DESCRIBE', 'EXPLAIN', 'ALTER', 'DROP'],
    hintOfStatement(word) ?? (near === null ? undefined : `Perhaps you meant ${near.toUpperCase()}.`),
  )
}

const unsupportedStatements = words(`
  update merge truncate copy begin start commit end rollback abort savepoint release prepare execute deallocate
  declare fetch move close listen unlisten notify grant revoke analyze vacuum set reset discard lock comment call do
  refresh reindex cluster checkpoint load security import reassign backtest why`)

const statements: Readonly<Record<string, (cursor: Cursor, at: number) => Statement>> = {
  delete: deleteFrom,
  select: queryStatement,
  with: queryStatement,
  values: queryStatement,
  table: queryStatement,
  subscribe,
  insert,
  create,
  drop,
  alter,
  show,
  describe,
  desc: describe,
  explain,
  flush,
}

function queryStatement(cursor: Cursor, at: number): Statement {
  const query = parseQuery(cursor)
  return { kind: 'query', query, ...cursor.span(at) }
}

function subscribe(cursor: Cursor, at: number): Statement {
  const { query, options } = parseSubscribed(cursor)
  return { kind: 'subscribe', query, options, ...cursor.span(at) }
}
/** [SUBSCRIBE [TO]] view | (query) | query [WITH (…)] */
export function parseSubscribed(cursor: Cursor): Pick<Extract<Statement, { kind: 'subscribe' }>, 'query' | 'options'> {
  if (
    cursor.isWord('subscribe') &&
    (cursor.ahead(1).kind === 'word' || cursor.ahead(1).kind === 'quoted' || cursor.isMarkAhead(1, '('))
  ) {
    cursor.take()
    cursor.acceptWords('to')
  }
  const isQuery = cursor.isWord('select', 'with', 'values', 'table') || cursor.isMark('(')
  const query = isQuery ? parseQuery(cursor) : namedQuery(cursor)
  return { query, options: withOptions(cursor) }
}
/** A bare name stands for SELECT * FROM name. */
function namedQuery(cursor: Cursor): ReturnType<typeof parseQuery> {
  const name = cursor.qualifiedName('a view, or SELECT')
  const { at, end } = name
  return {
    kind: 'query',
    with: [],
    recursive: false,
    body: {
      kind: 'select',
      distinct: false,
      items: [{ expr: { kind: 'star', qualifier: [], at, end }, alias: null, at, end }],
      from: [{ kind: 'table', name, alias: null, asOf: null, at, end }],
      where: null,
      groupBy: [],
      groupDistinct: false,
      having: null,
      windows: [],
      at,
      end,
    },
    orderBy: [],
    limit: null,
    offset: null,
    ties: false,
    locking: null,
    emit: null,
    at,
    end,
  }
}

/** EXECUTE STATEMENT SET BEGIN insert; … END, or BEGIN STATEMENT SET; insert; … END */
function statementSet(cursor: Cursor, at: number): Statement {
  const isExecuted = cursor.acceptWords('execute')
  if (!isExecuted) cursor.expectWord('begin')
  cursor.expectWord('statement', 'set')
  if (isExecuted) cursor.expectWord('begin')
  else cursor.expect(';')
  const inserts: Extract<Statement, { kind: 'insert' }>[] = []
  while (!cursor.isWord('end')) {
    if (cursor.accept(';')) continue
    if (!cursor.isWord('insert'))
      cursor.fail(['INSERT', 'END'], 'A statement set has INSERT statements; a view runs by itself and needs none.')
    inserts.push(insert(cursor, cursor.at))
    if (!cursor.isWord('end') && !cursor.isMark(';')) cursor.fail(['";"', 'END'])
  }
  cursor.take()
  if (inserts.length === 0) cursor.syntax('a statement set has one INSERT at least', at)
  return { kind: 'statement-set', inserts, ...cursor.span(at) }
}
function insert(cursor: Cursor, at: number): Extract<Statement, { kind: 'insert' }> {
  cursor.take()
  cursor.expectWord('into')
  const into = cursor.qualifiedName('a stream or table')
  if (cursor.isWord('as')) cursor.unsupported('an alias of INSERT', cursor.at)
  const columns = insertColumns(cursor)
  if (cursor.isWord('overriding')) cursor.unsupported('OVERRIDING', cursor.at)
  if (cursor.isWord('default')) cursor.unsupported('DEFAULT VALUES', cursor.at)
  const source = parseQuery(cursor)
  if (cursor.isWord('on'))
    cursor.unsupported('ON CONFLICT', cursor.at, 'A row of a table replaces the one with the same key.')
  if (cursor.isWord('returning')) cursor.unsupported('RETURNING', cursor.at)
  return { kind: 'insert', into, columns, source, ...cursor.span(at) }
}
/** DELETE FROM table [WHERE condition] */
function deleteFrom(cursor: Cursor, at: number): Statement {
  cursor.take()
  cursor.expectWord('from')
  if (cursor.isWord('only')) cursor.unsupported('ONLY', cursor.at)
  const from = cursor.qualifiedName('a table')
  if (cursor.isWord('as', 'using') || (cursor.startsName() && !cursor.isWord('where', 'returning')))
    cursor.unsupported(
      cursor.isWord('using') ? 'USING in DELETE' : 'an alias of DELETE',
      cursor.at,
      'WHERE may hold EXISTS (SELECT …).',
    )
  const where = cursor.acceptWords('where') ? parseExpression(cursor) : null
  if (cursor.isWord('returning')) cursor.unsupported('RETURNING', cursor.at)
  return { kind: 'delete', from, where, ...cursor.span(at) }
}
function insertColumns(cursor: Cursor): ReturnType<Cursor['name']>[] {
  const list =
    cursor.isMark('(') && !cursor.isWordAhead(1, 'select', 'with', 'values', 'table') && !cursor.isMarkAhead(1, '(')
  return list ? cursor.parenthesised(() => cursor.name('a column')) : []
}

const unsupportedObjects = words(`
  sink source function model connector index type schema role user
  temp temporary unlogged sequence trigger database extension`)
function create(cursor: Cursor, at: number): Statement {
  cursor.take()
  const replaceAt = cursor.at
  const orReplace = cursor.acceptWords('or', 'replace')
  const { word } = cursor.token
  if (orReplace && word !== 'materialized')
    cursor.unsupported('OR REPLACE of anything but a MATERIALIZED VIEW', replaceAt, 'DROP it first, then CREATE.')
  if (word === 'stream' || word === 'table') return createRelation(cursor, word, at)
  if (cursor.acceptWords('materialized')) {
    if (!cursor.isWord('view')) cursor.fail(['VIEW'])
    return createView(cursor, at, orReplace)
  }
  if (word === 'alert') return createAlert(cursor, at)
  if (word === 'savepoint') return createSavepoint(cursor, at)
  if (beginsConnector(cursor))
    return createConnector(cursor, at, (wordAt) =>
      cursor.unsupported(`CREATE ${word.toUpperCase()}`, wordAt, objectHints[word]),
    )
  if (word === 'view') return createPlainView(cursor, at)
  if (unsupportedObjects.has(word)) {
    cursor.unsupported(`CREATE ${word.toUpperCase()}`, cursor.at, objectHints[word])
  }
  return cursor.fail(['STREAM', 'TABLE', 'MATERIALIZED VIEW', 'VIEW', 'ALERT'])
}

/** CREATE SAVEPOINT name FOR view */
function createSavepoint(cursor: Cursor, at: number): Statement {
  cursor.expectWord('savepoint')
  const name = cursor.qualifiedName('a name for the savepoint')
  cursor.expectWord('for')
  const view = cursor.qualifiedName('a view')
  return { kind: 'create-savepoint', name, view, ...cursor.span(at) }
}
/** CREATE VIEW [IF NOT EXISTS] name [(columns)] AS query */
function createPlainView(cursor: Cursor, at: number): Statement {
  cursor.expectWord('view')
  const ifNotExists = cursor.acceptWords('if', 'not', 'exists')
  const name = cursor.qualifiedName('a name for the view')
  const columns = cursor.isMark('(') ? cursor.parenthesised(() => cursor.name('a column')) : []
  const noOptions = (): void => {
    if (cursor.isWord('with') && !cursor.isWordAhead(1, 'select'))
      cursor.unsupported('a VIEW with options', cursor.at, 'Only a MATERIALIZED VIEW runs, and has options.')
  }
  noOptions()
  cursor.expectWord('as')
  const query = parseQuery(cursor)
  noOptions()
  return { kind: 'create-plain-view', name, ifNotExists, columns, query, ...cursor.span(at) }
}

/**
 * CREATE [OR REPLACE] MATERIALIZED VIEW [IF NOT EXISTS] name [(columns, PRIMARY KEY (…))] [WITH (…)] AS query [ON CONFLICT DO …]
 * [WITH (…)] [START FROM …]
 */
function createView(cursor: Cursor, at: number, orReplace: boolean): Statement {
  cursor.expectWord('view')
  const ifNotExists = !orReplace && cursor.acceptWords('if', 'not', 'exists')
  const name = cursor.qualifiedName('a name for the view')
  const { columns, primaryKey } = viewColumns(cursor)
  const before = withOptions(cursor)
  cursor.expectWord('as')
  const query = parseQuery(cursor)
  if (cursor.isWord('with') && (cursor.isWordAhead(1, 'data') || cursor.isWordAhead(1, 'no')))
    cursor.unsupported('WITH [NO] DATA', cursor.at)
  const onConflict = conflictClause(cursor)
  const options = [...before, ...withOptions(cursor)]
  const start = startFrom(cursor)
  const parts = { columns, primaryKey, query, onConflict, options, orReplace, start }
  return { kind: 'create-view', name, ifNotExists, ...parts, ...cursor.span(at) }
}
function viewColumns(cursor: Cursor): { columns: Name[]; primaryKey: readonly Name[] } {
  const columns: Name[] = []
  let primaryKey: readonly Name[] = []
  if (cursor.isMark('('))
    cursor.parenthesised(() => {
      if (primaryKey.length > 0) cursor.syntax('PRIMARY KEY stands behind the columns, once', cursor.at)
      if (cursor.isWord('primary') && cursor.isWordAhead(1, 'key')) primaryKey = tableKey(cursor)
      else columns.push(cursor.name('a column'))
    })
  return { columns, primaryKey }
}
const conflicts = ['nothing', 'error', 'deduplicate'] as const
function conflictClause(cursor: Cursor): OnConflict | null {
  const { at } = cursor
  if (!cursor.acceptWords('on', 'conflict')) return null
  if (!cursor.isWord('do')) cursor.fail(['DO'], 'The key is the PRIMARY KEY of the view: ON CONFLICT DO NOTHING.')
  cursor.take()
  const does = conflicts.find((word) => cursor.acceptWords(word))
  if (does === undefined)
    return cursor.fail(
      ['NOTHING', 'ERROR', 'DEDUPLICATE'],
      'DEDUPLICATE keeps the row that changed last, as DO UPDATE would.',
    )
  return { does, ...cursor.span(at) }
}
const textOf = ({ parts }: QualifiedName): string => parts.map(({ text }) => text).join('.')
function startFrom(cursor: Cursor): StartFrom | null {
  const { at } = cursor
  if (!cursor.isWord('start')) return null
  cursor.take()
  cursor.expectWord('from')
  if (!cursor.isWord('beginning', 'now', 'timestamp', 'resume', 'savepoint'))
    cursor.fail(['BEGINNING', 'NOW', 'TIMESTAMP', 'RESUME', 'SAVEPOINT'])
  const from = cursor.take().word as StartFrom['from']
  const text =
    from === 'timestamp'
      ? cursor.string('a time as a string')
      : from === 'savepoint'
        ? textOf(cursor.qualifiedName('a savepoint'))
        : ''
  return { from, text, ...cursor.span(at) }
}

const objectKinds: readonly ObjectKind[] = ['stream', 'table', 'view', 'alert', 'topic']
function objectKind(cursor: Cursor): ObjectKind {
  cursor.acceptWords('materialized')
  const kind = objectKinds.find((k) => k === cursor.token.word)
  if (kind === undefined) cursor.fail(['STREAM', 'TABLE', 'MATERIALIZED VIEW', 'ALERT', 'TOPIC'])
  cursor.take()
  return kind
}

function drop(cursor: Cursor, at: number): Statement {
  cursor.take()
  if (cursor.acceptWords('savepoint')) {
    const ifExists = cursor.acceptWords('if', 'exists')
    return { kind: 'drop-savepoint', names: cursor.list(() => cursor.qualifiedName()), ifExists, ...cursor.span(at) }
  }
  if (cursor.isWord('source', 'sink')) return dropConnector(cursor, at)
  const object = objectKind(cursor)
  const ifExists = cursor.acceptWords('if', 'exists')
  const names = cursor.list(() => cursor.qualifiedName())
  const cascade = cursor.acceptWords('cascade')
  if (!cascade) cursor.acceptWords('restrict')
  return { kind: 'drop', object, names, ifExists, cascade, ...cursor.span(at) }
}

/** ALTER VIEW v PAUSE | RESUME | [AS query] [START FROM …]; ALTER ALERT a PAUSE | RESUME | NOTIFY … */
function alter(cursor: Cursor, at: number): Statement {
  cursor.take()
  if (cursor.isWord('source', 'sink')) return alterConnector(cursor, at)
  const object = objectKind(cursor)
  const name = cursor.qualifiedName()
  if (object === 'view' && cursor.isWord('as', 'start')) {
    const query = cursor.acceptWords('as') ? parseQuery(cursor) : null
    return { kind: 'alter-view', name, query, start: startFrom(cursor), ...cursor.span(at) }
  }
  if (object === 'alert' && cursor.isWord('notify')) return alterAlert(cursor, name, at)
  if (!cursor.isWord('pause', 'resume')) {
    if (cursor.token.kind === 'word')
      cursor.unsupported(
        `ALTER … ${cursor.token.text.toUpperCase()}`,
        cursor.at,
        object === 'alert'
          ? 'Whom it tells is changed by ALTER ALERT name NOTIFY …; for another query drop it and make it again.'
          : object === 'view'
            ? (alterHints[cursor.token.word] ?? `What a view says is changed by CREATE OR REPLACE MATERIALIZED VIEW.`)
            : `DROP ${object.toUpperCase()} keeps the topic: make it again with the columns that it is to have.`,
      )
    const more = { view: ['AS', 'START FROM'], alert: ['NOTIFY'] } as Partial<Record<ObjectKind, string[]>>
    cursor.fail(['PAUSE', 'RESUME', ...(more[object] ?? [])])
  }
  const action = cursor.take().word as 'pause' | 'resume'
  return { kind: 'alter', object, name, action, ...cursor.span(at) }
}

const shown = [
  'streams',
  'tables',
  'views',
  'topics',
  'alerts',
  'functions',
  'savepoints',
  'connectors',
  'all',
] as const
function show(cursor: Cursor, at: number): Statement {
  cursor.take()
  cursor.acceptWords('materialized')
  const what = shown.find((word) => word === cursor.token.word)
  if (what === undefined) {
    if (cursor.acceptWords('create')) return showCreate(cursor, at)
    if (
      cursor.token.kind === 'word' &&
      !cursor.isWord('stream', 'table', 'view', 'topic', 'alert', 'function', 'savepoint')
    )
      return setting(cursor, at)
    cursor.fail(shown.map((word) => word.toUpperCase()))
  }
  cursor.take()
  return { kind: 'show', what, ...cursor.span(at) }
}
/** SHOW CREATE [STREAM | TABLE | [MATERIALIZED] VIEW | ALERT] name */
function showCreate(cursor: Cursor, at: number): Statement {
  const isKind = cursor.isWord('materialized', ...objectKinds) && ['word', 'quoted'].includes(cursor.ahead(1).kind)
  if (isKind) objectKind(cursor)
  return { kind: 'show-create', name: cursor.qualifiedName('a stream, table, view or alert'), ...cursor.span(at) }
}
/** SHOW server_version and other settings that clients ask for. */
function setting(cursor: Cursor, at: number): Statement {
  const words: string[] = []
  while (cursor.token.kind === 'word' || cursor.isMark('.')) words.push(cursor.take().text.toLowerCase())
  return { kind: 'show', what: words.join(words.includes('.') ? '' : '_'), ...cursor.span(at) }
}

function flush(cursor: Cursor, at: number): Statement {
  cursor.take()
  return { kind: 'flush', ...cursor.span(at) }
}

function describe(cursor: Cursor, at: number): Statement {
  cursor.take()
  if (
    objectKinds.some((k) => k === cursor.token.word) &&
    (cursor.ahead(1).kind === 'word' || cursor.ahead(1).kind === 'quoted')
  )
    cursor.take()
  const name = cursor.qualifiedName('a stream, table, view or alert')
  return { kind: 'describe', name, ...cursor.span(at) }
}

function explain(cursor: Cursor, at: number): Statement {
  cursor.take()
  let analyze = cursor.acceptWords('analyze')
  if (
    cursor.isMark('(') &&
    !cursor.isWordAhead(1, 'select', 'with', 'values', 'table') &&
    !cursor.isMarkAhead(1, '(')
  ) {
    const options = optionList(cursor)
    analyze = options.some((o) => o.name === 'analyze' && o.value !== false)
  }
  cursor.acceptWords('verbose')
  // As Flink has it.
  cursor.acceptWords('plan', 'for')
  if (cursor.isWord('explain')) cursor.fail()
  const named = explainedName(cursor)
  const statementAt = cursor.at
  const statement: Statement =
    named === null ? parseStatement(cursor) : { kind: 'query', query: namedQuery(cursor), ...cursor.span(statementAt) }
  return { kind: 'explain', analyze, statement, named, ...cursor.span(at) }
}
/** EXPLAIN [[MATERIALIZED] VIEW] v: a name alone is that of a view. */
function explainedName(cursor: Cursor): QualifiedName | null {
  const isView = cursor.isWord('materialized') || (cursor.isWord('view') && !cursor.isMarkAhead(1, ';'))
  if (isView) {
    cursor.acceptWords('materialized')
    cursor.expectWord('view')
  }
  const { kind, word } = cursor.token
  const next = cursor.ahead(1)
  const isName =
    kind === 'quoted' || (kind === 'word' && !Object.hasOwn(statements, word) && !unsupportedStatements.has(word))
  const isAlone = next.kind === 'end' || next.text === ';' || next.text === '.'
  return isView || (isName && isAlone) ? cursor.peekName() : null
}
