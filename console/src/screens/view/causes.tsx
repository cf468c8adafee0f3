/** Why a view gives nothing, or not what was expected, as far as that is known; nothing where nothing is. */
import type { Diagnosis } from '../../../../src/gateway/http/api.ts'
import { apiUrl } from '../../lib/http.ts'
import { useResource } from '../../lib/hooks.ts'

export function Causes({ name }: { readonly name: string }) {
  const { data: causes } = useResource<readonly Diagnosis[]>(apiUrl(['views', name, 'doctor']), 5000)
  if (causes === null || causes.length === 0) return null
  return (
    <section class="causes" aria-label="What stands in the way">
      {causes.map(({ code, sure, says, evidence, remedy }) => (
        <article key={`${code} ${says}`}>
          <p>
            {sure === 'likely' && <span class="muted">Probably: </span>}
            {says} <code>{code}</code>
          </p>
          {evidence.length > 0 && (
            <ul class="muted">
              {evidence.map((line) => (
                <li key={line}>{line}</li>
              ))}
            </ul>
          )}
          {remedy !== '' && <p>{remedy}</p>}
        </article>
      ))}
    </section>
  )
}
