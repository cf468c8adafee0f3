/** librdkafka's regression tests that want a broker, against Millrace: all but those of ACLs. */
import { asTheirs, ofAcls, testLibrdkafka } from './kafka/librdkafka.ts'

testLibrdkafka({
  title: 'every test',
  scenario: 'default',
  groups: 'classic',
  start: asTheirs,
  chosen: (suite) => suite.numbers('default').filter((number) => !ofAcls.includes(number)),
})
