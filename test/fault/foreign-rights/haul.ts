import { createPrivateKey, createPublicKey, type KeyObject, X509Certificate } from 'node:crypto'

/** Something by which its bearer may be somebody. */
export type Credential =
  | { kind: 'Token'; token: string; where: string }
  | { kind: 'Certificate'; certPem: string; keyPem: string; where: string }

/** Collects texts of any form and finds the credentials in them. */
export type Haul = {
  add(text: string, where: string): void
  /** Each one once, with the first place where it was found. A certificate needs its key, wherever that was. */
  credentials(): Credential[]
  /** Private keys that no certificate belongs to, as PEM: an attacker can sign with them. */
  bareKeys(): { keyPem: string; where: string }[]
}

const jwt = /eyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{16,}/g
const accessKey = /hansa_[0-9a-z]{16}_[A-Za-z0-9_-]{43}/g
const bootstrapToken = /\b[a-z0-9]{6}\.[a-z0-9]{16}\b/g
const namedToken = /"?(?:token|password|id_token)"?\s*[:=]\s*"?([\x21\x23-\x7e]{8,4096})"?/gi
const pemBlock = /-----BEGIN ([A-Z0-9 ]+)-----[A-Za-z0-9+/=\s]+?-----END \1-----/g
const base64Run = /[A-Za-z0-9+/_-]{44,}={0,2}/g
const deepest = 4

export function createHaul(): Haul {
  const tokens = new Map<string, string>()
  const keys = new Map<string, { keyPem: string; where: string }>()
  const certificates = new Map<string, { certPem: string; fingerprint: string; where: string }[]>()
  const decoded = new Set<string>()

  function addKey(read: () => KeyObject, where: string): boolean {
    try {
      const key = read()
      const id = publicId(createPublicKey(key))
      if (!keys.has(id)) keys.set(id, { keyPem: key.export({ type: 'pkcs8', format: 'pem' }).toString(), where })
      return true
    } catch {
      return false // looked like a key, and is none
    }
  }

  function addCertificate(from: string | Buffer, where: string): boolean {
    try {
      const certificate = new X509Certificate(from)
      const id = publicId(certificate.publicKey)
      const known = certificates.get(id) ?? []
      if (known.some(({ fingerprint }) => fingerprint === certificate.fingerprint256)) return true
      certificates.set(id, [
        ...known,
        { certPem: certificate.toString(), fingerprint: certificate.fingerprint256, where },
      ])
      return true
    } catch {
      return false // looked like a certificate, and is none
    }
  }

  function addToken(token: string, where: string): void {
    if (!tokens.has(token)) tokens.set(token, where)
  }

  function add(text: string, where: string, depth = 0): void {
    for (const pattern of [jwt, accessKey, bootstrapToken]) {
      for (const [token] of text.matchAll(pattern)) addToken(token, where)
    }
    for (const [, token = ''] of text.matchAll(namedToken)) if (/^[!-~]+$/.test(token)) addToken(token, where)
    // In JSON line breaks are written as two characters.
    const lines = text.replaceAll('\\n', '\n')
    for (const [pem, label = ''] of lines.matchAll(pemBlock)) {
      if (label.endsWith('PRIVATE KEY')) addKey(() => createPrivateKey(pem), where)
      else if (label === 'CERTIFICATE') addCertificate(pem, where)
    }
    if (depth >= deepest) return
    for (const [run] of lines.replaceAll(pemBlock, '').matchAll(base64Run)) {
      if (decoded.has(run)) continue
      decoded.add(run)
      const bytes = Buffer.from(run, run.includes('-') || run.includes('_') ? 'base64url' : 'base64')
      if (bytes[0] === 0x30) {
        const isKey = addKey(() => createPrivateKey({ key: bytes, format: 'der', type: 'pkcs8' }), where)
        if (isKey || addCertificate(bytes, where)) continue
      }
      const inner = bytes.toString('latin1')
      if (isText(inner)) add(inner, where, depth + 1)
    }
  }

  return {
    add,
    credentials: () => [
      ...[...tokens].map(([token, where]): Credential => ({ kind: 'Token', token, where })),
      ...[...certificates].flatMap(([id, found]) => {
        const key = keys.get(id)
        if (key === undefined) return []
        return found.map(
          ({ certPem, where }): Credential => ({ kind: 'Certificate', certPem, keyPem: key.keyPem, where }),
        )
      }),
    ],
    bareKeys: () => [...keys].filter(([id]) => !certificates.has(id)).map(([, key]) => key),
  }
}

function publicId(key: KeyObject): string {
  return key.export({ type: 'spki', format: 'der' }).toString('base64')
}

function isText(text: string): boolean {
  return !/[^\t\n\r -~]/.test(text)
}
