import { api, array, bool, int16, int32, int8, nullable, or, since, string, struct } from '../codec/shape.ts'

export const describeConfigsApi = api({
  key: 32,
  name: 'DescribeConfigs',
  versions: [1, 4],
  flexible: 4,
  request: struct({
    resources: array(struct({ resourceType: int8, resourceName: string, configurationKeys: nullable(array(string)) })),
    includeSynonyms: bool,
    includeDocumentation: since(3, bool),
  }),
  response: struct({
    throttleTimeMs: or(0, int32),
    results: array(
      struct({
        errorCode: int16,
        errorMessage: nullable(string),
        resourceType: int8,
        resourceName: string,
        configs: array(
          struct({
            name: string,
            value: nullable(string),
            readOnly: bool,
            configSource: or(-1, int8),
            isSensitive: bool,
            synonyms: array(struct({ name: string, value: nullable(string), source: int8 })),
            configType: since(3, int8),
            documentation: since(3, nullable(string)),
          }),
        ),
      }),
    ),
  }),
})
