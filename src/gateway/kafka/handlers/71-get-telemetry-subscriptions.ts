import { Fault } from '../../../lib/fault.ts'
import { limits } from '../../../lib/limits.ts'
import { nullUuid } from '../../../wire/kafka/codec/shape.ts'
import { getTelemetrySubscriptionsApi } from '../../../wire/kafka/messages/71-get-telemetry-subscriptions.ts'
import { telemetryCodecs } from '../client-telemetry.ts'
import { attempt, code, errorCode, handler, telemetryCaller } from '../handler.ts'

export const getTelemetrySubscriptions = handler({
  api: getTelemetrySubscriptionsApi,
  versions: [0, 0],
  access: { needs: [], open: 'it tells a client what is asked of itself' },
  async handle({ clientInstanceId }, exchange) {
    const asked = await attempt(exchange, () =>
      exchange.clientTelemetry.ask(clientInstanceId, telemetryCaller(exchange)),
    )
    if (asked instanceof Fault)
      return {
        errorCode: errorCode(asked),
        clientInstanceId: nullUuid,
        subscriptionId: 0,
        acceptedCompressionTypes: [],
        pushIntervalMs: 0,
        telemetryMaxBytes: 0,
        deltaTemporality: false,
        requestedMetrics: [],
      }
    return {
      errorCode: code.none,
      clientInstanceId: asked.instanceId,
      subscriptionId: asked.subscriptionId,
      acceptedCompressionTypes: telemetryCodecs,
      pushIntervalMs: asked.intervalMs,
      telemetryMaxBytes: limits.telemetryBytes,
      // Totals, so that a push that is lost loses nothing.
      deltaTemporality: false,
      requestedMetrics: asked.metrics,
    }
  },
})
