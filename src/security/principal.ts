/** Who somebody is, by name: the same person by password, token or certificate is the same principal. */
export interface Principal {
  readonly type: 'User'
  readonly name: string
}
export const user = (name: string): Principal => ({ type: 'User', name })
/** Nobody has said who they are. Grants may name it as they name everybody else. */
export const anonymous = user('ANONYMOUS')
export const principalText = ({ type, name }: Principal): string => `${type}:${name}`
/** `User:name`; null for what names nobody. */
export function parsePrincipal(text: string): Principal | null {
  const name = /^User:(.+)$/s.exec(text)?.[1]
  return name === undefined ? null : user(name)
}
