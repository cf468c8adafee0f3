/** The official clients of Amazon Kinesis, and kinesalite with its tests. */
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { installOnce } from './cache.ts'
import { need } from './debian.ts'
import { installJars, pomOf } from './jars.ts'
import { makeEnvironment } from './python.ts'
import { run } from './run.ts'

const boto3 = 'boto3==1.44.8'
/** Path of a Python that can import boto3. */
export async function kinesisPython(): Promise<string> {
  const dir = await installOnce('kinesis-python', boto3, async (target) => {
    const { python3 } = await need('python3')
    console.error(`installing ${boto3} from PyPI`)
    await makeEnvironment(python3, target)
    await run(join(target, 'bin', 'python'), ['-m', 'pip', 'install', '-q', '--disable-pip-version-check', boto3])
  })
  return join(dir, 'bin', 'python')
}

const sdk = pomOf('software.amazon.awssdk:kinesis:2.31.0', 'org.slf4j:slf4j-nop:1.7.36')
/** Folder with `lib/*.jar` of the AWS SDK for Java 2. */
export async function kinesisJava(): Promise<string> {
  await need('java', 'javac', 'mvn')
  return installOnce('kinesis-java', sdk, async (dir) => {
    console.error('installing the AWS SDK for Java from Maven')
    await installJars(dir, sdk)
  })
}

const library = pomOf('software.amazon.kinesis:amazon-kinesis-client:2.6.1', 'org.slf4j:slf4j-nop:2.0.13')
const dynalite = 'dynalite@4.0.0'
/** Folder with `lib/*.jar` of the Kinesis Client Library, and dynalite, where it can keep its leases, in `node_modules`. */
export async function kinesisLibrary(): Promise<string> {
  await need('java', 'javac', 'mvn')
  return installOnce('kinesis-library', `${library}${dynalite}`, async (dir) => {
    console.error('installing the Kinesis Client Library from Maven and dynalite from npm')
    await installJars(dir, library)
    writeFileSync(join(dir, 'package.json'), '{"name":"leases","version":"0.0.0","private":true}')
    const words = ['install', '--no-audit', '--no-fund', '--ignore-scripts', '--no-package-lock', '--prefix', dir]
    await run('npm', [...words, dynalite])
  })
}

/** What `require('..')` gives its tests in place of kinesalite: Millrace as a process, on the port that they choose. */
const stand = `var spawn = require('child_process').spawn, path = require('path')
module.exports = function(options) {
  var child = null
  return {
    listen: function(port, done) {
      var words = JSON.parse(process.env.MILLRACE_WORDS).concat('--listen', 'kinesis=127.0.0.1:' + port)
      if (options && options.ssl) {
        words.push('--tls-cert', path.join(__dirname, 'ssl/server-crt.pem'))
        words.push('--tls-key', path.join(__dirname, 'ssl/server-key.pem'))
      }
      child = spawn(words[0], words.slice(1), {stdio: ['ignore', 'pipe', 'ignore']})
      var said = ''
      child.stdout.on('data', function(part) {
        said += part
        if (done && said.indexOf('kinesis ') >= 0) {
          var call = done
          done = null
          call()
        }
      })
      child.on('exit', function(code) { if (done) done(new Error('Millrace ended with ' + code)) })
    },
    close: function(done) {
      child.on('exit', function() { done() })
      child.kill('SIGTERM')
    },
  }
}
`
const kinesaliteCommit = 'c76689da192ab96c87c5db8f95c1e3fba1985433'
const kinesalite = 'https://github.com/mhart/kinesalite.git'
const beside = [
  'mocha@6.2.3',
  'should@13.2.3',
  'aws4@1.13.2',
  'async@2.6.4',
  'once@1.4.0',
  'bignumber.js@9.3.1',
  'cbor@5.2.0',
]
/** What kinesalite itself runs on, for measuring beside it. */
const itself = [
  'lazy@1.0.11',
  'levelup@4.4.0',
  'lock@1.1.0',
  'memdown@5.1.0',
  'minimist@1.2.8',
  'subleveldown@4.1.4',
  'uuid@7.0.3',
]

/** The folder with kinesalite's tests as they are; `kinesalite.js` is kinesalite, `index.js` stands for it. */
export function kinesaliteSuite(): Promise<string> {
  const version = [kinesaliteCommit, ...beside, ...itself, stand].join(' ')
  return installOnce('kinesalite', version, async (dir) => {
    console.error('installing kinesalite and its tests from GitHub and npm')
    await run('git', ['clone', '-q', process.env['MILLRACE_KINESALITE'] ?? kinesalite, dir])
    await run('git', ['-C', dir, 'checkout', '-q', kinesaliteCommit])
    writeFileSync(join(dir, 'kinesalite.js'), readFileSync(join(dir, 'index.js')))
    writeFileSync(join(dir, 'index.js'), stand)
    writeFileSync(join(dir, 'package.json'), '{"name":"kinesalite-suite","version":"0.0.0","private":true}')
    const words = ['install', '--no-audit', '--no-fund', '--ignore-scripts', '--no-package-lock', '--prefix', dir]
    await run('npm', [...words, ...beside, ...itself])
  })
}
