import type { Command } from './command.ts'
import { eventCommands } from './commands/events.ts'
import { logCommands } from './commands/log.ts'
import { lookCommands } from './commands/look.ts'
import { savepointCommands } from './commands/savepoint.ts'
import { serveCommands } from './commands/serve.ts'
import { topicCommands } from './commands/topic.ts'
import { accessKeyCommands } from './commands/access-key.ts'
import { mqttSessionCommands } from './commands/mqtt-session.ts'
import { connectorCommands } from './commands/connector.ts'
import { userCommands } from './commands/user.ts'

export const commands: readonly Command[] = [
  ...serveCommands,
  ...eventCommands,
  ...topicCommands,
  ...userCommands,
  ...accessKeyCommands,
  ...connectorCommands,
  ...mqttSessionCommands,
  ...lookCommands,
  ...savepointCommands,
  ...logCommands,
]
