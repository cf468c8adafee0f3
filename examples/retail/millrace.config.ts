import type { Settings } from 'millrace'

export default { data: './.millrace/retail' } satisfies Settings
