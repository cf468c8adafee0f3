/** What was changed, in words for the audit. Never a secret. */
import type { Grant } from './grants.ts'

/** `allow User:alice from * read topic:orders-*`; a prefix ends in `*`. */
export const grantText = ({ permission, principal, host, operation, resource, pattern, name }: Grant): string =>
  `${permission} ${principal} from ${host} ${operation} ${resource}:${name}${pattern === 'prefixed' ? '*' : ''}`

/** `topic:orders retention.ms=1000`; null: the default comes back. */
export const settingTexts = (of: string, settings: Readonly<Record<string, string | number | null>>): string[] =>
  Object.entries(settings).map(([name, value]) =>
    value === null ? `${of} ${name} back to its default` : `${of} ${name}=${value}`,
  )
