/**
 * node:http and node:https as CommonJS has them. An `import` of node:http makes a namespace of all its exports, and reading
 * `WebSocket` among them loads a client that nothing here uses: 30 to 40 ms of every start.
 */
export const http = process.getBuiltinModule('node:http')
export const https = process.getBuiltinModule('node:https')
