import { expect, test } from 'vitest'
import type { AccessKey } from '../api/access-key.ts'
import { judge } from './judge.ts'

const now = Date.parse('2026-03-01T00:00:00Z')
const day = 86_400

function key(notAfters: (string | undefined)[], change: Partial<AccessKey['spec']> = {}): AccessKey {
  return {
    apiVersion: 'hansa.dev/v1alpha1',
    kind: 'AccessKey',
    metadata: { name: 'batch', namespace: 'apps' },
    spec: {
      services: ['chat', 'digits'],
      secrets: notAfters.map((notAfter, i) => ({
        id: `${i}`.padStart(16, '0'),
        sha256: 'a'.repeat(64),
        ...(notAfter !== undefined && { notAfter }),
      })),
      limits: {},
      suspend: false,
      ...change,
    },
  }
}
const all = () => true

test.each([
  ['never expires', key([undefined]), all, 'Accepted', undefined, undefined],
  ['expires later', key(['2026-04-01T00:00:00Z']), all, 'Accepted', '2026-04-01T00:00:00Z', 24 * day + 1],
  ['expires soon', key(['2026-03-02T00:00:00Z']), all, 'ExpiresSoon', '2026-03-02T00:00:00Z', day + 1],
  [
    'has expired',
    key(['2026-02-01T00:00:00Z', '2026-02-20T00:00:00Z']),
    all,
    'Expired',
    '2026-02-20T00:00:00Z',
    undefined,
  ],
  ['is rotated', key(['2026-03-02T00:00:00Z', undefined]), all, 'Accepted', undefined, undefined],
  ['has no readable date', key(['soon']), all, 'Expired', undefined, undefined],
  ['is suspended', key([undefined], { suspend: true }), all, 'Suspended', undefined, undefined],
  ['opens nothing', key([undefined]), () => false, 'ServiceNotFound', undefined, undefined],
  ['opens one of two', key([undefined]), (name: string) => name === 'chat', 'Accepted', undefined, undefined],
] as const)('a key that %s', (_what, object, existing, reason, notAfter, afterSeconds) => {
  expect(judge(object, existing, now)).toMatchObject({ reason, notAfter, afterSeconds })
})

test('the message names what is missing', () => {
  expect(judge(key([undefined]), (name) => name === 'chat', now).message).toContain('not found: digits')
})
