import assert from 'node:assert/strict'
import { test } from 'node:test'
import { memoryDisk } from '../../src/lib/real/memory-disk.ts'
import { connectorFiles } from '../../src/node/connector-files.ts'
import { resolveConfig } from '../../src/node/config.ts'

function diskWith(...files: readonly (readonly [path: string, text: string])[]) {
  const disk = memoryDisk()
  for (const [path, text] of files) {
    disk.makeDirectory(path.slice(0, path.lastIndexOf('/')))
    const file = disk.open(path, 'write')
    file.write([Buffer.from(text)], 0)
    file.close()
  }
  return disk
}

test('kept to a folder, files are found from there, and no name leads out of it', () => {
  const disk = diskWith(['/srv/secrets/west.txt', 'hunter2'], ['/srv/secrets-of-others/a', 'no'], ['/etc/shadow', 'no'])
  const files = connectorFiles(disk, '/srv/secrets')
  assert.equal(files.read('west.txt'), 'hunter2')
  assert.equal(files.read('/srv/secrets/west.txt'), 'hunter2')
  assert.equal(files.read('./sub/../west.txt'), 'hunter2')
  for (const path of [
    '/etc/shadow',
    '../../etc/shadow',
    '../secrets-of-others/a',
    '/srv/secrets-of-others/a',
    '..',
    '.',
    '',
  ]) {
    assert.match(files.refuses(path)!, /connectFiles/, path)
    assert.throws(() => files.read(path), /connectFiles/, path)
  }
  const open = connectorFiles(disk, null)
  assert.equal(open.refuses('/etc/shadow'), null)
  assert.equal(open.read('/srv/secrets/west.txt'), 'hunter2')
})

test('the folder is a setting like others', () => {
  assert.equal(resolveConfig({}, {}, {}).config.connectFiles, null)
  assert.equal(resolveConfig({ connectFiles: '/srv/secrets' }, {}, {}).config.connectFiles, '/srv/secrets')
})
