/** Channels carry streams to S3. There are none here: the account's limit of them is 0. */
import type { Handlers } from '../call.ts'
import { notFound, overLimit } from '../errors.ts'

const unknown = (arn: string): Error => notFound(`Channel ${arn} not found.`)

export const channelOperations = {
  CreateChannel(call) {
    const { account, settings } = call.service.streams
    throw overLimit(
      `This request would exceed the channel limit for the account ${account} in ${settings.region}. Limit: 0.`,
    )
  },
  DeleteChannel(call) {
    throw unknown(call.input.ChannelARN)
  },
  DescribeChannel(call) {
    throw unknown(call.input.ChannelARN)
  },
  UpdateChannel(call) {
    throw unknown(call.input.ChannelARN)
  },
  ListChannels: () => ({ ChannelSummaries: [] }),
} satisfies Partial<Handlers>
