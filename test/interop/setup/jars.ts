/** Jars from Maven. */
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { had } from './or-skip.ts'
import { run } from './run.ts'

/** `artifacts`: `group:name:version`. */
export const pomOf = (...artifacts: readonly string[]): string => `<project xmlns="http://maven.apache.org/POM/4.0.0">
  <modelVersion>4.0.0</modelVersion>
  <groupId>local</groupId><artifactId>client</artifactId><version>1</version>
  <dependencies>
${artifacts
  .map((one) => one.split(':'))
  .map(
    ([group, name, version]) =>
      `<dependency><groupId>${group}</groupId><artifactId>${name}</artifactId><version>${version}</version></dependency>`,
  )
  .join('\n')}
  </dependencies>
</project>
`
/** They and all that they need into `DIR/lib`. */
export async function installJars(dir: string, pom: string): Promise<void> {
  writeFileSync(join(dir, 'pom.xml'), pom)
  const words = ['dependency:copy-dependencies', '-DincludeScope=runtime', `-DoutputDirectory=${join(dir, 'lib')}`]
  await had('what its pom.xml names', run('mvn', ['-q', '-B', '-f', join(dir, 'pom.xml'), ...words]))
}
