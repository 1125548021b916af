import { X509Certificate } from 'node:crypto'
import { setTimeout as sleep } from 'node:timers/promises'
import { connect } from 'node:tls'
import { z } from 'zod'
import type { Installation } from '../../cluster/hansa/installation.ts'
import type { Credential } from './haul.ts'

type Certificate = Extract<Credential, { kind: 'Certificate' }>

/** A port of a process of Hansa that speaks TLS. */
export type Door = { process: string; port: string; host: string; number: number }

/** A protocol to ask for at a door, and the server name to ask for. */
type Approach = { alpn: string; servername: string | undefined }

const podsSchema = z.object({
  items: z.array(
    z.object({
      metadata: z.object({ labels: z.record(z.string(), z.string()).default({}) }),
      spec: z.object({
        containers: z.array(
          z.object({ ports: z.array(z.object({ name: z.string(), containerPort: z.number() })).default([]) }),
        ),
      }),
      status: z.object({ podIP: z.string().optional(), phase: z.string() }),
    }),
  ),
})

/** Every TLS port of Hansa's own pods and workers, one of each kind. */
export async function doorsOf({ owner }: Pick<Installation, 'owner'>): Promise<Door[]> {
  const { body } = await owner.request({ path: '/api/v1/pods' })
  const doors = new Map<string, Door>()
  for (const { metadata, spec, status } of podsSchema.parse(body).items) {
    const process = metadata.labels['app.kubernetes.io/component']
    if (process === undefined || status.podIP === undefined || status.phase !== 'Running') continue
    for (const { name, containerPort } of spec.containers.flatMap(({ ports }) => ports)) {
      if (name === 'probes') continue // plain, for everybody
      doors.set(`${process} ${name}`, { process, port: name, host: status.podIP, number: containerPort })
    }
  }
  return [...doors.values()]
}

/** What is asked for at a door. `between` is the server name of connections between the two owners. */
export function approachesTo(door: Door, between: string): Approach[] {
  const protocols: Record<string, string[]> = {
    peers: ['hansa-control/1', 'hansa-reverse/1'],
    data: ['hansa-data/1', 'hansa-data-reverse/1'],
    grpc: ['h2'],
  }
  const servername = door.port === 'peers' || door.port === 'data' ? between : undefined
  return (protocols[door.port] ?? ['http/1.1']).map((alpn) => ({ alpn, servername }))
}

/** Whether a peer's certificate is meant for this door. */
export function isMeantFor(door: Door, certPem: string): boolean {
  const [, role] = /URI:spiffe:\/\/[a-z2-7]{52}\/cluster\/[^/,]+\/(link|gateway)/.exec(names(certPem)) ?? []
  return (role === 'link' && door.port === 'peers') || (role === 'gateway' && door.port === 'data')
}

/** The name that a certificate gives its holder, for reports. */
export function names(certPem: string): string {
  const { subjectAltName, subject } = new X509Certificate(certPem)
  return subjectAltName ?? subject ?? 'nobody'
}

/**
 * Knocks at a door: what it says to a caller with this certificate, in the form `HTTP 404` or `talks`; `refused` where the
 * connection ends without a word. Only TLS 1.3 is spoken there, in which a server refuses a certificate after the client's handshake.
 */
export function knock(door: Door, { alpn, servername }: Approach, credential?: Certificate): Promise<string> {
  return new Promise((resolve) => {
    const socket = connect({
      host: door.host,
      port: door.number,
      rejectUnauthorized: false, // who answers is not the question
      ALPNProtocols: [alpn],
      ...(servername !== undefined && { servername }),
      ...(credential !== undefined && { cert: credential.certPem, key: credential.keyPem }),
    })
    let heard = Buffer.alloc(0)
    const end = (what: string) => {
      clearTimeout(timer)
      socket.destroy()
      resolve(what)
    }
    const timer = setTimeout(() => end(verdict(heard)), 3000)
    socket.on('secureConnect', () => {
      if (alpn === 'http/1.1') socket.write('GET / HTTP/1.1\r\nHost: hansa\r\nConnection: close\r\n\r\n')
      else socket.write(Buffer.concat([Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n'), emptySettings]))
    })
    socket.on('data', (bytes: Buffer) => {
      heard = Buffer.concat([heard, bytes])
      // A server may greet before it looks at who came: it has a moment to think better of it.
      if (alpn !== 'http/1.1') void sleep(300).then(() => end(socket.closed ? 'refused' : verdict(heard)))
    })
    socket.on('error', () => end('refused'))
    socket.on('close', () => end(alpn === 'http/1.1' ? verdict(heard) : 'refused'))
  })
}

/** Whether somebody was let in who would not have been without a certificate. */
export function isLetIn(said: string, saidToNobody: string): boolean {
  return said !== saidToNobody && said !== 'refused' && !/^HTTP 40[13]$/.test(said)
}

const emptySettings = Buffer.from([0, 0, 0, 4, 0, 0, 0, 0, 0])

function verdict(heard: Buffer): string {
  if (heard.length === 0) return 'refused'
  const [, status] = /^HTTP\/1\.[01] (\d{3})/.exec(heard.toString('latin1')) ?? []
  return status === undefined ? 'talks' : `HTTP ${status}`
}
