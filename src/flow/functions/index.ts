/** All scalar functions. A subject is a file of rows; add it here. */
import { arithmetic } from './arithmetic.ts'
import { arrays } from './arrays.ts'
import { casts } from './casts.ts'
import { comparison } from './comparison.ts'
import { composites } from './composites.ts'
import { jsons } from './json.ts'
import { moreMath } from './more-math.ts'
import { moreTexts } from './more-text.ts'
import { regexps } from './regexp.ts'
import { FunctionTable } from './table.ts'
import { texts } from './text.ts'
import { times } from './time.ts'

export const functions = new FunctionTable([
  ...arithmetic,
  ...moreMath,
  ...comparison,
  ...casts,
  ...texts,
  ...moreTexts,
  ...regexps,
  ...times,
  ...jsons,
  ...arrays,
  ...composites,
])
