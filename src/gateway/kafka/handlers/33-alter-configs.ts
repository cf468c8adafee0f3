import { alterConfig } from '../alter-config.ts'
import { handler } from '../handler.ts'
import { alterConfigsApi } from '../../../wire/kafka/messages/33-alter-configs.ts'

/** What the request does not name goes back to its default. */
export const alterConfigs = handler({
  api: alterConfigsApi,
  versions: [0, 2],
  access: { needs: ['alter-configs topic', 'alter-configs group', 'alter-configs cluster'], shows: ['write topic'] },
  async handle(request, exchange) {
    const responses = await exchange.turns.map(request.resources, (asked) =>
      alterConfig(exchange, asked, request.validateOnly, (current) => {
        const change: Record<string, string | null> = Object.create(null) as Record<string, string | null>
        for (const name of Object.keys(current)) change[name] = null
        for (const { name, value } of asked.configs) change[name] = value
        return change
      }),
    )
    return { responses }
  },
})
