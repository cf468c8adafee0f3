/**
 * CREATE ALERT as a catalogue value: which rows fire it, whom it tells, what counts as the same alert, and how often that
 * may repeat. The rows are those of a view of their own (`view`), planned like any other; delivery is the business of
 * `act/`.
 */
import type { ViewPlan } from '../flow/plan.ts'

export interface AlertRule {
  readonly name: string
  /** The whole statement, as it was written, its secrets left out. */
  readonly sql: string
  readonly destinations: readonly AlertDestination[]
  /** Columns whose values say which alert it is; [] = the view's key, and without one every row is its own. */
  readonly key: readonly string[]
  /** The same key fires again only after this time; null = every row fires. */
  readonly everyMs: number | null
  /** Text with {column} for values; null = the name and the row. */
  readonly message: AlertMessage | null
}
export type AlertDestination = Webhook | { readonly kind: 'log' } | { readonly kind: 'console' }

export interface Webhook {
  readonly kind: 'webhook'
  readonly url: string
  readonly secret: string | null
  /** Signs beside the other, as long as a receiver changes from one to the other. */
  readonly previousSecret?: string
  /** By name, in small letters. */
  readonly headers?: Readonly<Record<string, string>>
  /** Given up this long after the alert fired, whatever the number of attempts. */
  readonly retryForMs?: number
  /** At most so many attempts. */
  readonly attempts?: number
  /** A receiver is asked before the first delivery whether it takes deliveries from this name (CloudEvents web hooks). */
  readonly handshake?: string
}

/** Pieces in order; a number is a position among the columns of the view. */
export type AlertMessage = readonly (string | { readonly column: number })[]

export interface PlannedAlert {
  readonly rule: AlertRule
  /** Rows that arrive in this view fire the alert; rows that are withdrawn do not. */
  readonly view: ViewPlan
  readonly ifNotExists: boolean
}

/** A statement as it may be shown. Headers may hold tokens. */
export const withoutSecrets = (sql: string): string =>
  sql.replace(/(\bSECRET\s+|\bsecret[._-]previous['"]?\s*=\s*|\bheader\.[^=]*=\s*)'(?:[^']|'')*'/gi, "$1'…'")

/** The view that an alert listens to; its changes are internal. */
export const alertViewName = (alert: string): string => `_millrace_alert.${alert}`

/** The message for one row, values as text; a missing one is empty. */
export function alertText(message: AlertMessage, values: readonly unknown[]): string {
  return message.map((piece) => (typeof piece === 'string' ? piece : shown(values[piece.column]))).join('')
}
function shown(value: unknown): string {
  if (value === null || value === undefined) return ''
  return typeof value === 'object' ? JSON.stringify(value) : String(value)
}
