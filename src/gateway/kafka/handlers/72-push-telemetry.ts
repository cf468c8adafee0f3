import { pushTelemetryApi } from '../../../wire/kafka/messages/72-push-telemetry.ts'
import { attempt, code, errorCode, handler, telemetryCaller } from '../handler.ts'
import { Fault } from '../../../lib/fault.ts'

export const pushTelemetry = handler({
  api: pushTelemetryApi,
  versions: [0, 0],
  access: { needs: [], open: 'a client that was asked says what it measured of itself' },
  async handle(request, exchange) {
    const fault = await attempt(exchange, () => exchange.clientTelemetry.push(request, telemetryCaller(exchange)))
    return { errorCode: fault instanceof Fault ? errorCode(fault) : code.none }
  },
})
