import { createHash, generateKeyPairSync } from 'node:crypto'
import { expect, test } from 'vitest'
import { keySigner } from './key-signer.ts'
import { isSignedBy, keyIdOf, readPublicKey } from './public-key.ts'
import { trustDomainOfKey } from './trust-domain.ts'

const { signal } = new AbortController()
const message = Buffer.from('message')
type Pair = { privateKey: import('node:crypto').KeyObject }
const pem = ({ privateKey }: Pair) => privateKey.export({ type: 'pkcs8', format: 'pem' }).toString()
const ed25519 = pem(generateKeyPairSync('ed25519'))
const p256 = pem(generateKeyPairSync('ec', { namedCurve: 'P-256' }))

test.for([
  ['Ed25519', ed25519],
  ['P-256', p256],
] as const)('a key of type %s signs 64 bytes that its public key alone confirms', async ([algorithm, key]) => {
  const signer = keySigner(key)
  expect(signer).toMatchObject({ algorithm, keyId: keyIdOf(signer.publicKey) })
  expect(signer.keyId).toMatch(/^[0-9a-f]{32}$/)
  const signature = await signer.sign(message, signal)
  expect(signature).toHaveLength(64)
  expect(isSignedBy(signer.publicKey, message, signature)).toBe(true)
  expect(isSignedBy(signer.publicKey, Buffer.from('massage'), signature)).toBe(false)
  expect(isSignedBy(keySigner(algorithm === 'P-256' ? ed25519 : p256).publicKey, message, signature)).toBe(false)
  expect(isSignedBy(signer.publicKey, message, signature.subarray(0, 63))).toBe(false)
})

test.for([
  ['RSA', pem(generateKeyPairSync('rsa', { modulusLength: 2048 }))],
  ['P-384', pem(generateKeyPairSync('ec', { namedCurve: 'P-384' }))],
  ['X25519', pem(generateKeyPairSync('x25519'))],
  ['Ed448', pem(generateKeyPairSync('ed448'))],
  ['nothing', 'PRIVATE nonsense'],
] as const)('a key of type %s is refused, without a word of it', ([, key]) => {
  expect(() => keySigner(key)).toThrow(expect.objectContaining({ reason: 'SigningKeyInvalid', retry: 'never' }))
  expect(() => keySigner(key)).not.toThrow(/nonsense|BEGIN/)
})

test('a public key is read from one encoding only', () => {
  const { publicKey } = keySigner(ed25519)
  expect(readPublicKey(publicKey)?.algorithm).toBe('Ed25519')
  const point = Buffer.from(keySigner(p256).publicKey, 'base64')
  const rsa = generateKeyPairSync('rsa', { modulusLength: 512 }).publicKey
  for (const bad of [
    `${publicKey}=`,
    publicKey.slice(0, -1),
    ` ${publicKey}`,
    Buffer.concat([Buffer.from(publicKey, 'base64'), Buffer.from([0])]).toString('base64'),
    point.subarray(0, -1).toString('base64'),
    rsa.export({ type: 'spki', format: 'der' }).toString('base64'),
    '',
  ]) {
    expect(readPublicKey(bad), bad).toBeUndefined()
  }
})

test('the trust domain is the base32 of the SHA-256 of the key', () => {
  const { publicKey } = keySigner(ed25519)
  const hash = createHash('sha256').update(Buffer.from(publicKey, 'base64')).digest()
  const name = trustDomainOfKey(publicKey)
  expect(name).toMatch(/^[a-z2-7]{52}$/)
  let bits = 0n
  for (const letter of name) bits = bits * 32n + BigInt('abcdefghijklmnopqrstuvwxyz234567'.indexOf(letter))
  expect((bits >> 4n).toString(16).padStart(64, '0')).toBe(hash.toString('hex'))
})
