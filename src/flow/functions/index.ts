/** All scalar functions. A subject is a file of rows; add it here. */
import { arithmetic } from './arithmetic.ts'
import { casts } from './casts.ts'
import { comparison } from './comparison.ts'
import { FunctionTable } from './table.ts'
import { texts } from './text.ts'

export const functions = new FunctionTable([...arithmetic, ...comparison, ...casts, ...texts])
