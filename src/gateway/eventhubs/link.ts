/** A link of a session: what the session asks of each, whoever sends on it. */
import type { Fields } from '../../wire/amqp/composites.ts'
import type { attach, flow, transfer } from '../../wire/amqp/composites.ts'
import { type Refusal } from './conditions.ts'
import type { Session } from './session.ts'

export type Attach = Fields<typeof attach>
export type Flow = Fields<typeof flow>
export type Transfer = Fields<typeof transfer>

export abstract class Link {
  readonly session: Session
  readonly handle: number
  readonly name: string
  readonly asked: Attach
  /** `gone`: it was detached, by whom ever; what still comes for it is passed over. */
  state: 'attaching' | 'open' | 'gone' = 'attaching'

  constructor(session: Session, asked: Attach) {
    this.session = session
    this.handle = asked.handle
    this.name = asked.name
    this.asked = asked
  }
  /** Looks whether it may be, and answers with `session.attached`. What it throws refuses it. */
  abstract start(): Promise<void> | void
  /** Flow of the link alone, from the client. */
  abstract onFlow(flow: Flow): void
  onTransfer(_transfer: Transfer, _payload: Buffer): void {}
  /** There is room again: in the session's window, or in the connection. */
  resume(): void {}
  /** Once, however it ends. `isClosed`: the client detached it. */
  abstract onGone(isClosed: boolean): void
  /** null: it may go on. Asked now and then. */
  expired(): Refusal | null {
    return null
  }
}
