/** State that grows with history is refused, with the ways out. */
import type { Plan } from '../../flow/plan.ts'
import { SqlFault } from '../fault.ts'
import { keepsHistory } from './join-keys.ts'

const history = {
  join: {
    message: 'a join of streams keeps all of them for ever',
    hint:
      "Say how far apart they are (a.t BETWEEN b.t - INTERVAL '5 minutes' AND b.t + INTERVAL '5 minutes', of both event times); " +
      'or join the windows of both (… AND a.window_end = b.window_end); or a stream with the version of a table at its event time: ' +
      "JOIN t FOR SYSTEM_TIME AS OF s.event_time ON t.key = s.key; or let rows go after a while: WITH (state_ttl = '1d'); " +
      'or accept it: WITH (allow_unbounded_state).',
  },
  'table-join': {
    message: 'a join of a stream and a table keeps the whole stream for ever, to restate it when the table changes',
    hint:
      'Look the row up when the event arrives: JOIN items FOR SYSTEM_TIME AS OF PROCTIME() AS i ON i.k = s.k; or as it was at the ' +
      'event time, with FOR SYSTEM_TIME AS OF s.t (of IN and EXISTS: join so instead); or let rows go after a while: ' +
      "WITH (state_ttl = '1d'); or accept it: WITH (allow_unbounded_state).",
  },
  exists: {
    message: '[NOT] EXISTS and IN over a stream keep all of both sides for ever',
    hint:
      "Within a time, NOT EXISTS is a join without a partner: LEFT JOIN b ON b.k = a.k AND b.t BETWEEN a.t AND a.t + INTERVAL '1 hour' WHERE b.k IS NULL; " +
      'and EXISTS a JOIN so. Or compare the windows of both (… AND a.window_end = b.window_end); or ask a view by key; or let rows go after a while: ' +
      "WITH (state_ttl = '1d'); or accept it: WITH (allow_unbounded_state).",
  },
  over: {
    message: 'this window function keeps every row of a stream',
    hint:
      'Order it by the event time, ascending, with a frame that ends; or partition it by a window_end; or keep the first few: ' +
      'SELECT … FROM (SELECT …, row_number() OVER (…) AS n FROM …) WHERE n <= 3; or accept it: WITH (allow_unbounded_state).',
  },
}
export type HistoryKeeper = keyof typeof history
export const historyFault = (keeper: HistoryKeeper, text: string, at: number): SqlFault =>
  new SqlFault('sql.unbounded-state', history[keeper].message, text, at, { hint: history[keeper].hint })
/** `joinsEnd`: rows of joins go by `state_ttl`. Throws SqlFault. */
export function refuseHistory(plan: Plan, joinsEnd: boolean): void {
  const keeper = keepsHistory(plan, joinsEnd)
  if (keeper !== null) throw historyFault(keeper, '', 0)
}
