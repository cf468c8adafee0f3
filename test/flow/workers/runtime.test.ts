/** What is asked of views on the thread of the log, asked of views on others, whole and in parts. */
import { describe } from 'node:test'
import { runtimeCases } from '../runtime-cases.ts'
import { openPartsHouse, openThreadHouse } from './house.ts'

describe('views on threads', () => runtimeCases(openThreadHouse))
describe('views in parts on several threads', () => runtimeCases(openPartsHouse))
