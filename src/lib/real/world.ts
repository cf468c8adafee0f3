/** The machine we run on. The only folder that touches the clock, timers, chance, the disk and sockets. */
import { randomBytes, randomUUID } from 'node:crypto'
import { freemem, totalmem } from 'node:os'
import { type TimeMs, timeMs } from '../brand.ts'
import { sleepBy } from '../sleep.ts'
import type { Clock, Memory, Random, World } from '../world.ts'
import { realDisk } from './disk.ts'
import { realNet } from './net.ts'
import { realThreads } from './threads.ts'

export function realWorld(): World {
  return {
    clock: realClock,
    random: realRandom,
    disk: realDisk,
    net: realNet,
    threads: realThreads,
    memory: realMemory(),
  }
}

/** Node's longest timer; a longer wait is cut into pieces. */
const timerMsMax = 0x7fff_ffff

export const realClock: Clock = {
  now: (): TimeMs => timeMs(Date.now()),
  monotonic: () => performance.now(),
  sleep(ms, signal) {
    return sleepBy(realClock, ms, signal)
  },
  after(ms, call) {
    let timer: NodeJS.Timeout
    const wait = (left: number): void => {
      const part = Math.min(left, timerMsMax)
      timer = setTimeout(() => (part < left ? wait(left - part) : call()), part)
      timer.unref()
    }
    wait(Math.max(0, ms))
    return () => clearTimeout(timer)
  },
  soon(call) {
    setImmediate(call)
  },
}

const realRandom: Random = {
  bytes: (count) => randomBytes(count),
  fraction: () => randomBytes(6).readUIntBE(0, 6) / 2 ** 48,
  uuid: () => randomUUID(),
}

function realMemory(): Memory {
  // 0 or beyond all that there is: nothing is told.
  const told = process.constrainedMemory()
  let last = 0
  return {
    used() {
      try {
        last = process.memoryUsage.rss()
      } catch {
        // Linux says it in a file, and there may be no handle left to open one.
      }
      return last
    },
    limit: told > 0 ? Math.min(told, totalmem()) : totalmem(),
    free: freemem,
  }
}
