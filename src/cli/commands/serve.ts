import { flushCompileCache } from 'node:module'
import { pathToFileURL } from 'node:url'
import { existsSync } from 'node:fs'
import { join, resolve } from 'node:path'
import {
  type Config,
  environmentSettings,
  resolveConfig,
  type ResolvedConfig,
  type Settings,
} from '../../node/config.ts'
import { type SecuritySettings, listed, securityDefaults } from '../../node/security-config.ts'
import { standardErrorLogger } from '../../node/logger.ts'
import { keepAlive } from '../../lib/real/keep-alive.ts'
import type { Call, Command, Option } from '../command.ts'
import { printRows } from '../output.ts'

const option = (setting: keyof SecuritySettings, value: string, summary: string) => ({
  setting,
  name: setting.replaceAll(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`),
  value,
  repeatable: Array.isArray(securityDefaults[setting]),
  summary,
})
const securityOptions = [
  option('tlsCert', 'FILE', 'certificate of the listeners, PEM'),
  option('tlsKey', 'FILE', 'its key, PEM'),
  option('tls', 'PROTOCOL', 'protocols that are encrypted; all, where there is a certificate'),
  option('tlsClientCa', 'FILE', "authorities of clients' certificates, PEM"),
  option('tlsClientAuth', 'HOW', 'required, requested or none'),
  option('principalMapping', 'RULES', "from a certificate's subject to a name, as Kafka's ssl.principal.mapping.rules"),
  option('kafkaSasl', 'MECHANISM', 'PLAIN, SCRAM-SHA-256, SCRAM-SHA-512, OAUTHBEARER: nobody gets in without'),
  option('kafkaReauth', 'DURATION', 'after which a Kafka client proves again who it is'),
  option('superUsers', 'User:NAME', 'nothing is refused to them'),
  option('adminPasswordFile', 'FILE', 'password of the super user admin, who is made where there is no user at all'),
  option('oauthJwks', 'WHERE', 'keys of the issuer of tokens: a file or an https URL'),
  option('oauthIssuer', 'TEXT', 'iss of its tokens'),
  option('oauthAudience', 'TEXT', 'one of these must be in aud'),
  option('oauthPrincipal', 'CLAIM', "the claim that is the user's name (default sub)"),
  option('oauthClockSkew', 'DURATION', 'how far clocks may differ (default 30s)'),
  option('oauthAllow', 'CIDR', 'private addresses that the URL may have'),
]

const startOptions: readonly Option[] = [
  { name: 'data', value: 'DIR', summary: 'where everything is kept (default ./.millrace); :memory: keeps nothing' },
  {
    name: 'listen',
    value: 'PROTOCOL=HOST:PORT',
    repeatable: true,
    summary:
      'http, kafka, mqtt, kinesis, pubsub, eventhubs or peer; `off` closes one; port 0 picks one. Where it is given, HTTP and Kafka listen besides, the others not',
  },
  {
    name: 'advertise',
    value: 'PROTOCOL=HOST:PORT',
    repeatable: true,
    summary: 'what clients are told, behind port mapping',
  },
  { name: 'kafka-partitions', value: 'N', summary: 'of topics that Kafka clients make without a count (default 1)' },
  {
    name: 'kafka-auto-create',
    value: 'on|off',
    summary: 'make topics that Kafka clients ask for by name (default on)',
  },
  {
    name: 'eventhubs-auto-create',
    value: 'N',
    summary: 'make hubs that somebody sends to, with so many partitions (default 0: they are not made)',
  },
  {
    name: 'kafka-rebalance-delay',
    value: 'DURATION',
    summary: 'a classic group begins when no member has come for so long (default 200ms)',
  },
  {
    name: 'mqtt-topics',
    value: 'FILTER=TOPIC',
    repeatable: true,
    summary: 'topics that MQTT messages lie in (default mqtt.<first level>)',
  },
  {
    name: 'mqtt-keep-alive',
    value: 'DURATION',
    summary: 'MQTT 5 clients are told to be heard as often (default: as they want)',
  },
  {
    name: 'mqtt-persistent-client-expiration',
    value: 'DURATION',
    summary: 'MQTT sessions whose client is away for so long end (default: as clients want, in MQTT 3.1.1 never)',
  },
  { name: 'log', value: 'WHERE', summary: 'local (default), or a Kafka cluster: kafka://HOST:PORT,…' },
  { name: 'log-password-file', value: 'FILE', summary: "password of the cluster's user; or MILLRACE_LOG_PASSWORD" },
  {
    name: 'connect-files',
    value: 'DIR',
    summary: 'keep files that connectors name (secrets, certificates) to this folder',
  },
  { name: 'webhooks-allow', value: 'CIDR', repeatable: true, summary: 'private addresses that alerts may call' },
  { name: 'http-hosts', value: 'NAME', repeatable: true, summary: 'host names that HTTP answers for beside localhost' },
  { name: 'http-origins', value: 'ORIGIN', repeatable: true, summary: 'origins whose pages may call, https://HOST' },
  {
    name: 'kinesis',
    value: 'NAME=VALUE',
    repeatable: true,
    summary: 'region, account, shards, change-time, limits or model of the Kinesis gateway',
  },
  { name: 'workers', value: 'N|auto', summary: 'threads for views (default auto: one less than there are cores)' },
  ...securityOptions.map(({ name, value, repeatable, summary }) => ({ name, value, repeatable, summary })),
]

async function fileSettings(dir: string | undefined): Promise<Settings> {
  const path = join(resolve(dir ?? '.'), 'millrace.config.ts')
  if (dir === undefined || !existsSync(path)) return {}
  return ((await import(pathToFileURL(path).href)) as { default?: Settings }).default ?? {}
}

async function configuration(on: Call): Promise<ResolvedConfig> {
  /** Named several times, or once with commas. */
  const list = (name: string, setting = name): readonly string[] | undefined =>
    on.options.list(name)?.flatMap((text) => listed(setting, text))
  const flags: Settings = {
    data: on.options.text('data'),
    listen: list('listen'),
    advertise: list('advertise'),
    kafkaPartitions: on.options.text('kafka-partitions'),
    kafkaAutoCreate: on.options.text('kafka-auto-create'),
    eventhubsAutoCreate: on.options.text('eventhubs-auto-create'),
    kafkaRebalanceDelay: on.options.text('kafka-rebalance-delay'),
    mqttTopics: list('mqtt-topics'),
    mqttKeepAlive: on.options.text('mqtt-keep-alive'),
    mqttPersistentClientExpiration: on.options.text('mqtt-persistent-client-expiration'),
    log: on.options.text('log'),
    logPasswordFile: on.options.text('log-password-file'),
    connectFiles: on.options.text('connect-files'),
    webhooksAllow: list('webhooks-allow'),
    httpHosts: list('http-hosts'),
    httpOrigins: list('http-origins'),
    kinesis: list('kinesis'),
    workers: on.options.text('workers'),
    ...Object.fromEntries(
      securityOptions.map(({ name, setting, repeatable }) => [
        setting,
        repeatable ? list(name, setting) : on.options.text(name),
      ]),
    ),
  }
  return resolveConfig(flags, environmentSettings(process.env), await fileSettings(on.args['dir']))
}

/** Writing what was compiled takes 0.15 s, once: not while the first clients come. */
const compileCacheAfterMs = 5_000

async function serve(on: Call, config: Config): Promise<void> {
  // Loaded here, so that the other commands start without the whole platform.
  const [{ startMillrace }, { loadProject }, { realWorld }] = await Promise.all([
    import('../../node/millrace.ts'),
    import('../../node/project.ts'),
    import('../../lib/real/world.ts'),
  ])
  const world = realWorld()
  const logger = standardErrorLogger(world.clock)
  const project = on.args['dir'] === undefined ? null : await loadProject(on.args['dir'])
  const millrace = await startMillrace({
    config,
    world,
    logger,
    ...(project === null ? {} : { definitions: { ...project, project } }),
  })
  const listen = millrace.listening()
  // From the start of the process, the loading of the program included.
  const startedInMs = Math.round(process.uptime() * 1000)
  if (on.output === 'json' || on.output === 'jsonl')
    process.stdout.write(JSON.stringify({ event: 'ready', pid: process.pid, listen, startedInMs }) + '\n')
  else if (on.output !== 'none') {
    const scheme = config.security.isEncrypted('http') ? 'https' : 'http'
    const width = Math.max(6, ...Object.keys(listen).map(({ length }) => length))
    const where = Object.entries(listen).map(
      ([protocol, at]) => `  ${protocol.padEnd(width)} ${protocol === 'http' ? `${scheme}://${at}/  (console)` : at}`,
    )
    process.stdout.write(`Millrace is ready (${startedInMs} ms)\n${where.join('\n')}\n`)
  }
  // It is written at an orderly end as well, which not every process comes to.
  world.clock.after(compileCacheAfterMs, flushCompileCache)
  await new Promise<void>((stop) => {
    if (on.signal.aborted) stop()
    else on.signal.addEventListener('abort', () => stop(), { once: true })
  })
  logger.info('stopping')
  await millrace.close()
}

export const serveCommands: readonly Command[] = [
  {
    path: ['serve'],
    summary: 'run a project or, with no folder, an empty platform',
    args: [{ name: 'dir', optional: true }],
    options: startOptions,
    examples: ['millrace serve', 'millrace serve ./shop --data /var/lib/millrace --listen kafka=127.0.0.1:19092'],
    async run(on) {
      const { config } = await configuration(on)
      const end = keepAlive()
      try {
        await serve(on, config)
      } finally {
        end()
      }
    },
  },
  {
    path: ['config'],
    summary: 'every setting, its value and where it comes from',
    args: [{ name: 'dir', optional: true }],
    options: startOptions,
    examples: ['millrace config ./shop'],
    async run(on) {
      const { origins } = await configuration(on)
      printRows(
        on.output,
        origins.map((origin) => ({ ...origin })),
        ['setting', 'value', 'origin'],
      )
    },
  },
]
