import { expect, test } from 'vitest'
import { gatewaySettings } from './settings.ts'

const env = {
  POD_IP: '10.0.0.1',
  POD_NAMESPACE: 'hansa-system',
  KUBERNETES_SERVICE_HOST: '10.96.0.1',
  KUBERNETES_SERVICE_PORT: '443',
  HANSA_STATE_DIR: '/state',
  HANSA_TRUST_DOMAIN: 'cluster.hansa',
  HANSA_CA_URL: 'https://hansa-operator.hansa-system.svc:9443',
  HANSA_CA_FILE: '/trust/ca.pem',
  HANSA_CA_TOKEN_FILE: '/token',
}
const issuer = { name: 'corp', issuer: 'https://login.example', audience: 'hansa' }

test('defaults are filled in and the certificate names are the service and the public host', () => {
  const settings = gatewaySettings({
    ...env,
    HANSA_GATEWAY_URL: 'https://models.example:8443',
    HANSA_GATEWAY_DNS_NAMES: 'a.example, b.example',
  })
  expect(settings).toMatchObject({
    port: 8443,
    probesPort: 8081,
    accessLogSample: 1,
    tlsFiles: undefined,
    oidcIssuers: [],
  })
  expect(settings.dnsNames).toEqual([
    'hansa-gateway.hansa-system',
    'hansa-gateway.hansa-system.svc',
    'hansa-gateway.hansa-system.svc.cluster.local',
    'models.example',
    'a.example',
    'b.example',
  ])
})

test('outside issuers are read from JSON', () => {
  expect(gatewaySettings({ ...env, HANSA_OIDC_ISSUERS: JSON.stringify([issuer]) }).oidcIssuers).toEqual([issuer])
})

test.each([
  ['plain http', [{ ...issuer, issuer: 'http://login.example' }]],
  ['plain http keys', [{ ...issuer, jwksUrl: 'http://login.example/keys' }]],
  ['an unknown member', [{ ...issuer, insecure: true }]],
  ['the name of the cluster', [{ ...issuer, name: 'cluster' }]],
  ['a name that is a path', [{ ...issuer, name: '../x' }]],
  ['a name twice', [issuer, { ...issuer, issuer: 'https://other.example' }]],
  ['an issuer twice', [issuer, { ...issuer, name: 'other' }]],
])('issuers with %s are refused', (_what, issuers) => {
  expect(() => gatewaySettings({ ...env, HANSA_OIDC_ISSUERS: JSON.stringify(issuers) })).toThrow('HANSA_OIDC_ISSUERS')
})

test.each([
  [{ HANSA_OIDC_ISSUERS: '[' }, 'HANSA_OIDC_ISSUERS'],
  [{ POD_IP: 'everywhere' }, 'POD_IP'],
  [{ HANSA_GATEWAY_PORT: '70000' }, 'HANSA_GATEWAY_PORT'],
  [{ HANSA_ACCESS_LOG_SAMPLE: '2' }, 'HANSA_ACCESS_LOG_SAMPLE'],
  [{ HANSA_TLS_CERT_FILE: '/tls.crt' }, 'HANSA_TLS_KEY_FILE'],
  [{ HANSA_CA_FILE: '' }, 'HANSA_CA_FILE'],
])('%j is refused by name', (wrong, name) => {
  expect(() => gatewaySettings({ ...env, ...wrong })).toThrow(name)
})
