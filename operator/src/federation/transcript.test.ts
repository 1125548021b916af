import fc from 'fast-check'
import { expect, test } from 'vitest'
import { fingerprintOf, readFingerprint, type Transcript } from './transcript.ts'

const transcript: Transcript = {
  inviteSha256: 'a'.repeat(64),
  acceptanceSha256: 'b'.repeat(64),
  expires: '2026-01-08T00:00:00Z',
  inviter: { rootKey: 'AAAA', trustDomain: 'c'.repeat(52), nonce: 'n', ownerId: 'clinic', clusterName: 'main' },
  accepter: { rootKey: 'BBBB', trustDomain: 'd'.repeat(52), nonce: 'm', ownerId: 'university', clusterName: 'gpu' },
}

test('the fingerprint of a fixed transcript never changes between versions', () => {
  expect(fingerprintOf(transcript)).toBe('b606-d6e6-4954-6383-8b94-4342-2988-b0ae')
})

test('a change of any field gives another fingerprint', () => {
  const fingerprints = new Set([fingerprintOf(transcript)])
  let variants = 1
  const add = (changed: Transcript) => {
    fingerprints.add(fingerprintOf(changed))
    variants += 1
  }
  for (const field of ['inviteSha256', 'acceptanceSha256', 'expires'] as const) add({ ...transcript, [field]: 'x' })
  for (const side of ['inviter', 'accepter'] as const) {
    for (const field of ['rootKey', 'trustDomain', 'nonce', 'ownerId', 'clusterName'] as const) {
      add({ ...transcript, [side]: { ...transcript[side], [field]: 'x' } })
    }
  }
  add({ ...transcript, inviter: transcript.accepter, accepter: transcript.inviter })
  expect(fingerprints.size).toBe(variants)
})

test('characters that move from one field to the next give another fingerprint', () => {
  fc.assert(
    fc.property(fc.string({ minLength: 1, maxLength: 20 }), fc.string({ maxLength: 20 }), fc.nat(19), (a, b, cut) => {
      const at = Math.min(cut, a.length - 1)
      const moved = { ...transcript.inviter, ownerId: a.slice(0, at), clusterName: a.slice(at) + b }
      const whole = { ...transcript.inviter, ownerId: a, clusterName: b }
      const differ =
        fingerprintOf({ ...transcript, inviter: moved }) !== fingerprintOf({ ...transcript, inviter: whole })
      // Lone surrogates all become the same replacement character; names hold none (they are DNS labels).
      return differ || a.isWellFormed() === false || b.isWellFormed() === false
    }),
  )
})

test('what is typed may have blanks, no dashes and capitals, and nothing else', () => {
  const fingerprint = fingerprintOf(transcript)
  const digits = fingerprint.replaceAll('-', '')
  for (const typed of [
    fingerprint,
    digits,
    ` ${fingerprint}\n`,
    fingerprint.replaceAll('-', ' '),
    digits.toUpperCase(),
  ]) {
    expect(readFingerprint(typed)).toBe(fingerprint)
  }
  for (const typed of [
    '',
    digits.slice(1),
    `${digits}0`,
    `${digits.slice(1)}g`,
    `\u200b${digits}`,
    '0x'.concat(digits),
  ]) {
    expect(readFingerprint(typed)).toBeUndefined()
  }
})
