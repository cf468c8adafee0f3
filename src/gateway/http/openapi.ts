/** OpenAPI 3.1 from the list of routes: what it says is what the router knows. */
import { mediaTypes } from './exchange.ts'
import { type Parameter, type Route, givesEvents } from './route.ts'
import { components, schemas } from './schemas.ts'

export function openApi(routes: readonly Route[], version: string): unknown {
  const paths: Record<string, Record<string, unknown>> = {}
  for (const route of routes) (paths[route.path] ??= {})[route.method.toLowerCase()] = operation(route)
  return {
    openapi: '3.1.0',
    info: {
      title: 'Millrace',
      version,
      description: 'Events in, answers and alerts out.',
      license: { name: 'Apache-2.0' },
    },
    paths,
    // Nobody is asked who they are until there is a user.
    security: [{}, { password: [] }, { token: [] }],
    components: {
      schemas: components,
      securitySchemes: { password: { type: 'http', scheme: 'basic' }, token: { type: 'http', scheme: 'bearer' } },
    },
  }
}

const webSocket =
  'A WebSocket, where one is asked for: each message is the JSON of an event with `event`, its name, and `id`, where the stream can be resumed.'

function operation(route: Route): unknown {
  const inPath = [...route.path.matchAll(/\{(\w+)\}/g)].map(([, name]) => ({
    name,
    in: 'path',
    required: true,
    schema: { type: 'string' },
  }))
  const parameters = [...inPath, ...parametersIn('query', route.query), ...parametersIn('header', route.headers)]
  return {
    operationId: route.id,
    summary: route.says,
    ...(parameters.length === 0 ? {} : { parameters }),
    ...(route.takes === undefined ? {} : { requestBody: { content: contentOf(route.takes) } }),
    responses: {
      ...(givesEvents(route) ? { 101: { description: webSocket } } : {}),
      ...Object.fromEntries(
        Object.entries(route.gives).map(([status, { says, as }]) => [
          status,
          { description: says, ...(as === undefined ? {} : { content: contentOf(as) }) },
        ]),
      ),
      default: { description: 'A fault.', content: contentOf({ [mediaTypes.problem]: schemas.Problem }) },
    },
  }
}
function parametersIn(place: 'query' | 'header', given: Readonly<Record<string, Parameter>> = {}): unknown[] {
  return Object.entries(given).map(([name, { says, schema }]) => ({ name, in: place, description: says, schema }))
}
const contentOf = (types: Readonly<Record<string, unknown>>): unknown =>
  Object.fromEntries(Object.entries(types).map(([type, schema]) => [type, { schema }]))
