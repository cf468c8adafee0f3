/**
 * Programs that come from the Debian archive (Ubuntu's names are the same). What is missing is installed; what cannot be
 * installed is an error that says which command would do it by hand. Nothing is skipped.
 */
import { existsSync } from 'node:fs'
import { locked } from './cache.ts'
import { asRoot, run, which } from './run.ts'

interface Program {
  /** What is run, or a file (with a slash) that must exist. Of several, any one will do. */
  readonly found: readonly string[]
  readonly packages: readonly string[]
  readonly why: string
}

const programs = {
  mosquitto_pub: { found: ['mosquitto_pub'], packages: ['mosquitto-clients'], why: "mosquitto's MQTT clients" },
  mosquitto_sub: { found: ['mosquitto_sub'], packages: ['mosquitto-clients'], why: "mosquitto's MQTT clients" },
  mosquitto: { found: ['mosquitto', '/usr/sbin/mosquitto'], packages: ['mosquitto'], why: 'a broker to compare with' },
  kcat: { found: ['kcat'], packages: ['kcat'], why: 'the librdkafka command line' },
  java: { found: ['java'], packages: ['default-jdk-headless'], why: "Kafka's own tools and broker" },
  javac: { found: ['javac'], packages: ['default-jdk-headless'], why: 'the Java client' },
  jcmd: { found: ['jcmd'], packages: ['default-jdk-headless'], why: 'what is on the heap of a peer' },
  mvn: { found: ['mvn'], packages: ['maven'], why: "fetches Kafka's jars" },
  python3: { found: ['python3'], packages: ['python3', 'python3-venv'], why: 'the Python clients' },
  chromium: {
    found: ['chromium', 'chromium-browser', 'google-chrome'],
    packages: ['chromium'],
    why: 'the console tests',
  },
  mkfsXfs: { found: ['mkfs.xfs'], packages: ['xfsprogs'], why: 'power cuts' },
  xfsIo: { found: ['xfs_io'], packages: ['xfsprogs'], why: 'power cuts' },
  mkfsExt4: { found: ['mkfs.ext4'], packages: ['e2fsprogs'], why: 'power cuts and full disks' },
  losetup: { found: ['losetup'], packages: ['mount'], why: 'power cuts and full disks' },
  strace: { found: ['strace'], packages: ['strace'], why: 'injected disk errors' },
  gcc: { found: ['gcc'], packages: ['gcc', 'libc6-dev'], why: "librdkafka's tests, short writes" },
  'g++': { found: ['g++'], packages: ['g++'], why: "librdkafka's tests" },
  make: { found: ['make'], packages: ['make'], why: "librdkafka's tests" },
  'openssl.h': { found: ['/usr/include/openssl/ssl.h'], packages: ['libssl-dev'], why: "librdkafka's tests" },
  'zlib.h': { found: ['/usr/include/zlib.h'], packages: ['zlib1g-dev'], why: "librdkafka's tests" },
  'zstd.h': { found: ['/usr/include/zstd.h'], packages: ['libzstd-dev'], why: "librdkafka's tests" },
  rapidjson: {
    found: ['/usr/include/rapidjson/rapidjson.h'],
    packages: ['rapidjson-dev'],
    why: "librdkafka's tests",
  },
  taskset: { found: ['taskset'], packages: ['util-linux'], why: 'benchmarks on one core' },
  faketime: { found: ['faketime'], packages: ['faketime'], why: 'clocks that jump' },
} satisfies Record<string, Program>

export type ProgramName = keyof typeof programs

const pathOf = (program: Program): string | null => {
  for (const name of program.found) {
    const path = name.includes('/') ? (existsSync(name) ? name : null) : which(name)
    if (path !== null) return path
  }
  return null
}

/** Paths of these programs, after installing those that are missing in one go. */
export async function need<N extends ProgramName>(...names: readonly N[]): Promise<Record<N, string>> {
  const missing = names.filter((name) => pathOf(programs[name]) === null)
  if (missing.length > 0) {
    await locked('debian', async () => {
      const still = missing.filter((name) => pathOf(programs[name]) === null)
      if (still.length > 0) await install(still)
    })
  }
  const paths = {} as Record<N, string>
  for (const name of names) {
    const path = pathOf(programs[name])
    if (path === null) throw new Error(`${name} is still missing after installing ${programs[name].packages.join(' ')}`)
    paths[name] = path
  }
  return paths
}

async function install(names: readonly ProgramName[]): Promise<void> {
  const packages = [...new Set(names.flatMap((name) => programs[name].packages))]
  const reasons = names.map((name) => `${name} (${programs[name].why})`).join(', ')
  const byHand = `apt-get install ${packages.join(' ')}`
  if (which('apt-get') === null) {
    throw new Error(`missing: ${reasons}. This machine has no apt-get; install them by its own package manager.`)
  }
  const root = asRoot()
  if (root === null) {
    throw new Error(`missing: ${reasons}. Neither root nor sudo without a password is here. As root run: ${byHand}`)
  }
  console.error(`installing ${packages.join(' ')}: ${reasons}`)
  const apt = (...args: string[]): Promise<string> => {
    const words = [
      ...root,
      'env',
      'DEBIAN_FRONTEND=noninteractive',
      'apt-get',
      '-o',
      'DPkg::Lock::Timeout=300',
      ...args,
    ]
    return run(words[0]!, words.slice(1))
  }
  const get = (): Promise<string> => apt('install', '-y', '-q', '--no-install-recommends', ...packages)
  try {
    await get()
  } catch {
    // Package lists may be missing or old: fetch them, then the failure counts.
    await apt('update', '-q')
    await get()
  }
}
