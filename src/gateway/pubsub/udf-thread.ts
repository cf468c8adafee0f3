/** What the thread of users' functions loads. */
import { Line } from '../../lib/line.ts'
import { ownThread } from '../../lib/real/threads.ts'
import { realWorld } from '../../lib/real/world.ts'
import { UserFunctions } from './user-functions.ts'

const functions = new UserFunctions(realWorld().clock)
const methods = {
  ready: () => null,
  check: functions.check.bind(functions),
  run: functions.run.bind(functions),
}
export type UdfThread = typeof methods
const line = new Line<object>(ownThread().port, methods)
void line
