import type { Millrace } from '../../test/interop/setup/index.ts'

/** Statements over HTTP; gives the rows as JSON. */
export async function sql({ http }: Millrace, text: string): Promise<string> {
  const answer = await fetch(`http://${http}/v1/sql`, {
    method: 'POST',
    headers: { 'content-type': 'application/sql' },
    body: text,
  })
  const body = await answer.text()
  if (!answer.ok) throw new Error(`${text}: ${answer.status} ${body}`)
  return JSON.stringify((JSON.parse(body) as { rows: unknown }).rows)
}
