/** Frames that are all refused at their first byte would test little: seeds must be valid, and mutations must bite. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { codecOf } from '../../src/wire/kafka/codec/compile.ts'
import { WireReader } from '../../src/wire/kafka/codec/wire.ts'
import { randomFrom } from './case.ts'
import { mutate } from './mutate.ts'
import { gatewayApis, seedFrames } from './seeds.ts'

test('there is a seed for every version of every API, and each decodes to its last byte', async () => {
  const apis = await gatewayApis()
  const frames = seedFrames(apis, ['a', 'b'], randomFrom(1))
  const versions = apis.reduce((sum, api) => sum + api.versions[1] - api.versions[0] + 1, 0)
  assert.equal(frames.length, versions)
  for (const frame of frames) {
    assert.equal(frame.readInt32BE(0), frame.length - 4)
    const api = apis.find(({ key }) => key === frame.readInt16BE(4))!
    const version = frame.readInt16BE(6)
    const input = new WireReader(frame, 14 + 'seed'.length + (version >= api.flexible ? 1 : 0))
    codecOf(api.request, version, version >= api.flexible).decode(input)
    assert.equal(input.left, 0, `${api.name} v${version}`)
  }
})

test('nearly every mutation changes the frame, and the same seed gives the same frames', async () => {
  const seeds = seedFrames(await gatewayApis(), ['a'], randomFrom(2))
  const run = (): Buffer[] => {
    const random = randomFrom(3)
    return seeds.map((frame, i) => mutate(frame, seeds[(i * 7) % seeds.length]!, random))
  }
  const mutated = run()
  assert.deepEqual(run(), mutated)
  const changed = mutated.filter((frame, i) => !frame.equals(seeds[i]!)).length
  assert.ok(changed > seeds.length * 0.9, `${changed} of ${seeds.length}`)
})
