import { once } from 'node:events'
import { createServer } from 'node:https'
import type { AddressInfo } from 'node:net'
import { createAuthority } from '@hansa/operator/identity/authority.ts'
import { issueCredentials } from '@hansa/operator/identity/memory-identity.ts'
import { exportJWK, generateKeyPair, SignJWT } from 'jose'
import { expect, test } from 'vitest'
import { eventually, inferenceService, startRig } from './gateway-under-test.ts'

test('people with a token of a configured issuer get in by subject or group; its keys are found by discovery', async () => {
  const authority = await createAuthority({ trustDomain: 'issuer.test' })
  const tls = await issueCredentials(authority, 'spiffe://issuer.test/ns/a/sa/b', { dnsNames: ['127.0.0.1'] })
  const { privateKey, publicKey } = await generateKeyPair('RS256')
  const jwk = { ...(await exportJWK(publicKey)), kid: 'corp-1', alg: 'RS256', use: 'sig' }
  const server = createServer({ key: tls.keyPem, cert: tls.certPem }, (request, response) => {
    const answers: Record<string, unknown> = {
      '/.well-known/openid-configuration': { issuer, jwks_uri: `${issuer}/keys` },
      '/keys': { keys: [jwk] },
    }
    const answer = answers[request.url ?? '']
    response
      .writeHead(answer === undefined ? 404 : 200, { 'content-type': 'application/json' })
      .end(JSON.stringify(answer))
  }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  // A TCP listener has an AddressInfo.
  const issuer = `https://127.0.0.1:${(server.address() as AddressInfo).port}`
  const rig = await startRig({
    settings: { oidcIssuers: [{ name: 'corp', issuer, audience: 'models', caPem: authority.caPem }] },
    services: [
      inferenceService('digits', 'apps', {
        access: { oidc: [{ issuerName: 'corp', subjects: ['alice'], groups: ['ml'] }] },
      }),
    ],
  })
  try {
    await rig.addWorker()
    const sign = (claims: Record<string, unknown>) =>
      new SignJWT({ iss: issuer, aud: 'models', sub: 'bob', ...claims })
        .setProtectedHeader({ alg: 'RS256', kid: 'corp-1' })
        .setExpirationTime('5m')
        .sign(privateKey)
    const status = async (claims: Record<string, unknown>) =>
      (await rig.call('/apps/digits/v2', { token: await sign(claims) })).status
    await eventually(async () => expect(await status({ sub: 'alice' })).toBe(200))
    expect(await status({ groups: ['ops', 'ml'] })).toBe(200)
    expect(await status({ groups: 'ml' })).toBe(403)
    expect(await status({})).toBe(403)
    expect(await status({ sub: 'alice', aud: 'hansa' })).toBe(401)
    // The cluster's own tokens are not the company's.
    expect((await rig.call('/apps/digits/v2')).status).toBe(403)
  } finally {
    await rig.stop()
    server.closeAllConnections()
    server.close()
  }
})
