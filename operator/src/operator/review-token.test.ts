import { expect, test } from 'vitest'
import type { TokenReview } from '../kube/builtin.ts'
import type { KubeClient } from '../kube/client-types.ts'
import { reviewToken } from './review-token.ts'

const { signal } = new AbortController()

/** What comes of a review that the API server answers like this. */
function review(status: TokenReview['status']) {
  const asked: TokenReview[] = []
  // Reviewing needs no other method.
  const client = {
    create: async (_: unknown, body: TokenReview) => {
      asked.push(body)
      return { ...body, status }
    },
  } as unknown as KubeClient
  return { asked, result: reviewToken(client, 'a-token', 'hansa-ca', signal) }
}

const user = { username: 'system:serviceaccount:web:chat-worker' }
const valid = { authenticated: true, audiences: ['hansa-ca'], user }

test('a service account is known by namespace and name, and its pod', async () => {
  const extra = { 'authentication.kubernetes.io/pod-name': ['chat-1'] }
  const { asked, result } = review({ ...valid, user: { ...user, extra } })
  expect(await result).toEqual({ namespace: 'web', serviceAccount: 'chat-worker', podName: 'chat-1' })
  expect(asked[0]?.spec).toEqual({ token: 'a-token', audiences: ['hansa-ca'] })
  expect(await review(valid).result).toEqual({ namespace: 'web', serviceAccount: 'chat-worker' })
})

test.each([
  ['no status', undefined],
  ['a token that is not valid', { ...valid, authenticated: false }],
  ['no word about the audience', { authenticated: true, user }],
  ['another audience', { ...valid, audiences: ['https://kubernetes.default.svc'] }],
  ['a person', { ...valid, user: { username: 'jane' } }],
  ['a node', { ...valid, user: { username: 'system:node:worker-1' } }],
  ['a name with too many parts', { ...valid, user: { username: 'system:serviceaccount:web:chat:more' } }],
  ['a name with too few parts', { ...valid, user: { username: 'system:serviceaccount:web' } }],
  ['no user', { authenticated: true, audiences: ['hansa-ca'] }],
])('%s is nobody', async (_, status) => {
  expect(await review(status).result).toBeUndefined()
})
