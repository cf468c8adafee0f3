/** Claims-based security: a token put on the connection for a path. */
import { limits } from '../../lib/limits.ts'
import { nothing } from '../../wire/amqp/values.ts'
import { Refused, condition } from './conditions.ts'
import type { Connection } from './connection.ts'
import { type Answer, type Request, applicationText } from './request.ts'
import { tokenTypeOf } from './tokens.ts'

/** Throws Refused. */
export async function answerToken(connection: Connection, request: Request): Promise<Answer> {
  const operation = applicationText(request, 'operation')
  if (operation !== 'put-token')
    throw new Refused(
      condition.argument,
      `The operation of $cbs is put-token, not '${String(operation).slice(0, 100)}'.`,
    )
  const type = tokenTypeOf(applicationText(request, 'type'))
  if (type === null) throw new Refused(condition.argument, 'The type is servicebus.windows.net:sastoken or jwt.')
  const audience = applicationText(request, 'name')
  if (audience === null) throw new Refused(condition.argument, 'The name says what the token is for.')
  if (audience.length > limits.amqpAudienceLength)
    throw new Refused(
      condition.argument,
      `The name of what a token is for has ${limits.amqpAudienceLength} characters at most.`,
    )
  const { body } = request
  const token = body.type === 'string' ? body.value : body.type === 'binary' ? body.value.toString() : null
  if (token === null) throw new Refused(condition.argument, 'The body is the token.')
  connection.claims.put(await connection.hubs.tokens.check(type, token, audience))
  return { status: 202, description: 'Accepted', body: nothing }
}
