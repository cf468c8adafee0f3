/** What is asked of views on the thread of the log, asked of views on others. */
import { runtimeCases } from '../runtime-cases.ts'
import { openThreadHouse } from './house.ts'

runtimeCases(openThreadHouse)
