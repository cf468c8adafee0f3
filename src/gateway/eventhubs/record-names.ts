/** How the parts of an AMQP message are called as headers of a record, both ways (docs/gateways.md). */

/** Headers that mean the same in every protocol, and the field of the message's properties. */
export const sharedHeaders = {
  'message-id': 'messageId',
  'correlation-id': 'correlationId',
  'reply-to': 'replyTo',
  'content-type': 'contentType',
  subject: 'subject',
} as const
/** What only AMQP knows. */
export const ownHeaders = {
  'amqp-to': 'to',
  'amqp-user-id': 'userId',
  'amqp-content-encoding': 'contentEncoding',
  'amqp-absolute-expiry-time': 'absoluteExpiryTime',
  'amqp-creation-time': 'creationTime',
  'amqp-group-id': 'groupId',
  'amqp-group-sequence': 'groupSequence',
  'amqp-reply-to-group-id': 'replyToGroupId',
} as const
export type PropertyField =
  | (typeof sharedHeaders)[keyof typeof sharedHeaders]
  | (typeof ownHeaders)[keyof typeof ownHeaders]
export const fieldOfHeader: ReadonlyMap<string, PropertyField> = new Map([
  ...Object.entries(sharedHeaders),
  ...Object.entries(ownHeaders),
])
export const headerOfField: readonly (readonly [field: PropertyField, header: string])[] = [
  ...fieldOfHeader.entries(),
].map(([header, field]) => [field, header])

/** JSON of header → type, of application properties and ids that are no text. */
export const typesHeader = 'amqp-types'
/** The sections of a body that is not one data section, byte for byte. */
export const bodyHeader = 'amqp-body'
/** The message annotations that a client sent, without those of the service: the map, byte for byte. */
export const annotationsHeader = 'amqp-annotations'
/** The footer, byte for byte. */
export const footerHeader = 'amqp-footer'
export const durableHeader = 'amqp-durable'
export const priorityHeader = 'amqp-priority'
/** Before the name of an application property that would be taken for one of the above. */
export const escapePrefix = 'amqp-property-'

/** Whether an application property of this name needs the prefix. */
export const needsEscape = (name: string): boolean =>
  name.startsWith('amqp-') || name.startsWith('mr-') || name in sharedHeaders
