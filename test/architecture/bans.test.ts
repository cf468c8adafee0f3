import assert from 'node:assert/strict'
import { globSync, readFileSync } from 'node:fs'
import { test } from 'node:test'

interface Ban {
  readonly pattern: RegExp
  readonly why: string
  /** What it bans stands in comments. */
  readonly inComments?: boolean
  /** Files that may: the seam itself, or a socket shell. */
  readonly except: RegExp
}
const worldSeam = /^src\/lib\/(real|sim)\//
const socketShell = /^src\/(lib\/real|gateway\/[a-z]+\/(listen|shell)\.ts|gateway\/[a-z]+\/shell\/|cli\/)/
const bans: readonly Ban[] = [
  { pattern: /\bDate\.now\(/, why: 'time is an argument: world.clock.now()', except: worldSeam },
  { pattern: /\bnew Date\(\s*\)/, why: 'time is an argument: world.clock.now()', except: worldSeam },
  { pattern: /\bperformance\.now\(/, why: 'time is an argument: world.clock.monotonic()', except: worldSeam },
  {
    pattern: /\b(setTimeout|setInterval|setImmediate)\(/,
    why: 'timers are world.clock.after and soon',
    except: worldSeam,
  },
  { pattern: /\bMath\.random\(|\brandomUUID\(|\brandomBytes\(/, why: 'chance is world.random', except: worldSeam },
  { pattern: /from 'node:fs(\/promises)?'/, why: 'the disk is world.disk', except: /^src\/(lib\/real|cli|node)\// },
  { pattern: /from 'node:(net|tls|dgram|dns)'/, why: 'the network is world.net', except: socketShell },
  { pattern: /from 'node:(http|https|http2)'/, why: 'only socket shells speak HTTP themselves', except: socketShell },
  { pattern: /\beval\(|\bexecSync\(/, why: 'no text becomes code', except: /^$/ },
  {
    pattern: /\bnew Function\(/,
    why: 'generated code comes from typed plans and message definitions alone',
    except: /^src\/(flow\/(compile|generate)|wire\/kafka\/codec)/,
  },
  {
    pattern: /process\.env\b/,
    why: 'configuration comes through node/config.ts',
    except: /^src\/(node|cli|lib\/real)\//,
  },
  {
    pattern: /console\.(log|error|warn|info)\(/,
    why: 'messages go through the logger given at start',
    except: /^src\/(cli|node|lib\/real)\//,
  },
  {
    pattern: /@ts-(ignore|nocheck|expect-error)|(ox|es)lint-disable/,
    inComments: true,
    why: 'mend it, or say so in the configuration with a reason',
    except: /^$/,
  },
]

const withoutComments = (text: string): string =>
  text.replaceAll(/\/\*[\s\S]*?\*\//g, '').replaceAll(/(^|\s)\/\/[^\n]*/g, '')

test('nothing banned stands in src', () => {
  const files = globSync('src/**/*.ts')
  assert.ok(files.length > 20, 'hardly any file was read')
  const wrong: string[] = []
  for (const file of files) {
    const whole = readFileSync(file, 'utf8')
    const code = withoutComments(whole)
    for (const ban of bans)
      if (!ban.except.test(file) && ban.pattern.test(ban.inComments === true ? whole : code))
        wrong.push(`${file}: ${ban.pattern.source}: ${ban.why}`)
  }
  assert.deepEqual(wrong, [])
})
