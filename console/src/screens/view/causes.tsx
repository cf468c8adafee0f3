/** Why a view gives nothing, or nothing flows through a connector, as far as that is known; nothing where nothing is. */
import type { Diagnosis } from '../../../../src/gateway/http/api.ts'
import { apiUrl } from '../../lib/http.ts'
import { useResource } from '../../lib/hooks.ts'

/** `of`: where the doctor is asked, as `views`, name. */
export function Causes({ of }: { readonly of: readonly string[] }) {
  const { data: causes } = useResource<readonly Diagnosis[]>(apiUrl([...of, 'doctor']), 5000)
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
