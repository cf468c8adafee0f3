/** Microsoft's client of Event Hubs for Java. */
import { installOnce } from './cache.ts'
import { need } from './debian.ts'
import { installJars, pomOf } from './jars.ts'

const client = pomOf(
  'com.azure:azure-messaging-eventhubs:5.21.5',
  'com.azure:azure-messaging-eventhubs-checkpointstore-blob:1.21.5',
  'org.slf4j:slf4j-nop:1.7.36',
)
/** Folder with `lib/*.jar` of the client and of its checkpoint store. */
export async function eventHubsJava(): Promise<string> {
  await need('java', 'javac', 'mvn')
  return installOnce('eventhubs-java', client, async (dir) => {
    console.error("installing Microsoft's client of Event Hubs from Maven")
    await installJars(dir, client)
  })
}
