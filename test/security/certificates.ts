/** Authorities and certificates for a test, made by openssl in a folder that goes with the test. */
import { execFileSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { TestContext } from 'node:test'

export interface Certificate {
  readonly certFile: string
  readonly keyFile: string
  readonly cert: string
  readonly key: string
}
export interface Authority extends Certificate {
  /** `subject`: `/CN=…`, the most general part first. Negative days: over already. */
  issue(name: string, subject: string, options?: { days?: number }): Certificate
}

const run = (...args: readonly string[]): void => void execFileSync('openssl', args, { stdio: 'pipe' })
const day = 24 * 60 * 60 * 1000
const stamp = (ms: number): string => new Date(ms).toISOString().replaceAll(/[-:T]|\.\d+/g, '')

export function temporaryFolder(t: TestContext): string {
  const dir = mkdtempSync(join(tmpdir(), 'millrace-tls-'))
  t.after(() => rmSync(dir, { recursive: true, force: true }))
  return dir
}
export function authority(dir: string, name: string): Authority {
  const files = (of: string): Certificate => {
    const [certFile, keyFile] = [join(dir, `${of}.crt`), join(dir, `${of}.key`)]
    return { certFile, keyFile, cert: readFileSync(certFile, 'utf8'), key: readFileSync(keyFile, 'utf8') }
  }
  const at = (file: string): string => join(dir, file)
  const curve = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes']
  run('req', '-x509', ...curve, '-keyout', at(`${name}.key`), '-out', at(`${name}.crt`), '-subj', `/CN=${name}`)
  writeFileSync(at(`${name}.index`), '')
  writeFileSync(
    at(`${name}.conf`),
    `[ca]
default_ca = own
[own]
database = ${at(`${name}.index`)}
new_certs_dir = ${dir}
certificate = ${at(`${name}.crt`)}
private_key = ${at(`${name}.key`)}
rand_serial = yes
unique_subject = no
default_md = sha256
policy = any
x509_extensions = ext
preserve = yes
[any]
countryName = optional
organizationName = optional
organizationalUnitName = optional
commonName = supplied
[ext]
subjectAltName = DNS:localhost,IP:127.0.0.1
`,
  )
  return {
    ...files(name),
    issue(of, subject, { days = 30 } = {}) {
      run('req', ...curve, '-keyout', at(`${of}.key`), '-out', at(`${of}.csr`), '-subj', subject)
      const [from, to] = [Date.now() - 40 * day, Date.now() + days * day].map(stamp)
      run(
        'ca',
        '-batch',
        '-config',
        at(`${name}.conf`),
        '-in',
        at(`${of}.csr`),
        '-out',
        at(`${of}.crt`),
        '-startdate',
        from!,
        '-enddate',
        to!,
        '-notext',
      )
      return files(of)
    },
  }
}
