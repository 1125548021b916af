import { createLocalJWKSet, type JWK, type JWTVerifyGetKey } from 'jose'
import { z } from 'zod'
import { HansaError } from '../../process/errors.ts'

const maxKeys = 64

const jwksSchema = z.object({
  keys: z.array(z.looseObject({ kty: z.string().max(16) })).max(maxKeys),
})

/** An issuer's public keys (RFC 7517). */
export type KeySet = { jwks: { keys: JWK[] }; resolve: JWTVerifyGetKey }

/** Reads a JWKS, keeping public signing keys only: a symmetric "key" in it would let anyone who reads it sign. */
export function parseKeySet(jwks: unknown): KeySet {
  const parsed = jwksSchema.safeParse(jwks)
  if (!parsed.success) throw new HansaError('JWKSInvalid', 'the issuer sent no readable key set')
  const keys = parsed.data.keys.filter(
    ({ kty, use, d }) =>
      (kty === 'RSA' || kty === 'EC' || kty === 'OKP') && (use === undefined || use === 'sig') && d === undefined,
  )
  if (keys.length === 0) throw new HansaError('JWKSInvalid', 'the issuer sent no public signing key')
  return { jwks: { keys }, resolve: createLocalJWKSet({ keys }) }
}
