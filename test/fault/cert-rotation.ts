import { X509Certificate } from 'node:crypto'
import { guestWorks, identities, peers } from '@hansa/operator/kube/hansa-resources.ts'
import { CallError } from '@hansa/operator/link/transport/call-error.ts'
import { codeOfKind } from '@hansa/operator/link/wire/messages.ts'
import { deliver } from '@hansa/operator/link/wire/methods.ts'
import { identityOf } from '../builders/federation.ts'
import { type LinkedOwner, serveWork, startLinkedOwner } from '../integration/link/link-rig.ts'

const rotations = 100
const callsPerSecond = 20
const certificateSeconds = 10

export const promise = {
  id: 'cert-rotation',
  claim:
    'Certificates between owners are replaced under load without a failed call; an owner that was away for twice the life of its certificate, its bundle expired on both sides, finds back by itself; protocol versions N and N-1 work together both ways.',
  aim: `${rotations} rotations at each of two owners: 0 failed calls, 0 connections with an ended certificate; back after twice a certificate's life; 4 of 4 pairs of versions`,
}

/** Two links with real TLS in this process, joined by connections that one of them opens; the API servers are in memory. */
export async function run(report: (line: string) => void): Promise<{ figures: string; holds: boolean }> {
  const rotated = await rotate(report)
  const back = await comeBack(report)
  const versions = await interwork(report)
  const figures = [
    `${rotated.renewed} rotations, ${rotated.certificates} certificates seen on connections`,
    `n=${rotated.calls} calls, ${rotated.failed} failed`,
    `${rotated.ended} connections with an ended certificate`,
    back === undefined ? 'did not come back' : `back ${back.toFixed(1)} s after ${2 * certificateSeconds} s away`,
    `${versions} of 4 pairs of versions work`,
  ].join('; ')
  const holds =
    rotated.renewed >= 2 * rotations &&
    rotated.certificates > rotations &&
    rotated.failed === 0 &&
    rotated.ended === 0 &&
    back !== undefined &&
    versions === 4
  return { figures, holds }
}

async function pair(options: { ours?: readonly number[]; theirs?: readonly number[]; seconds?: number } = {}) {
  const seconds = options.seconds === undefined ? {} : { certificateSeconds: options.seconds }
  const [clinic, university] = await Promise.all([
    startLinkedOwner('clinic', {
      ...(options.ours !== undefined && { versions: options.ours }),
      ...{ limits: { newConnectionBurst: 10_000, callsPerSecond: 1000, callBurst: 1000 } },
      ...seconds,
    }),
    startLinkedOwner('university', {
      ...(options.theirs !== undefined && { versions: options.theirs }),
      ...{ limits: { newConnectionBurst: 10_000, callsPerSecond: 1000, callBurst: 1000, handshakeBurst: 10_000 } },
      ...seconds,
    }),
  ])
  university.knows(clinic, { dial: 'Them' })
  clinic.knows(university, { dial: 'Us', address: `127.0.0.1:${university.link.port}` })
  await until(() => clinic.link.peerings.canCall('university') && university.link.peerings.canCall('clinic'), 60)
  return { clinic, university, stop: () => Promise.all([clinic.stop(), university.stop()]) }
}

async function rotate(report: (line: string) => void) {
  const owners = await pair({ seconds: certificateSeconds })
  const { clinic, university } = owners
  const stopping = new AbortController()
  const load = [callAll(clinic, 'university', stopping.signal), callAll(university, 'clinic', stopping.signal)]
  const seen = new Set<string>()
  let [renewed, ended] = [0, 0]
  for (let i = 1; i <= rotations; i++) {
    // In this order, so that the connections that the dialler opens anew show both.
    await university.certificates.renew()
    await clinic.certificates.renew()
    renewed += 2
    await until(() => [clinic, university].every((owner) => showsNew(owner, seen)), 60)
    for (const certificate of [clinic, university].flatMap(certificatesOf)) seen.add(certificate.fingerprint256)
    ended += [clinic, university]
      .flatMap(certificatesOf)
      .filter((each) => each.validToDate.getTime() < Date.now()).length
    if (i % 20 === 0) report(`${i} rotations`)
  }
  stopping.abort()
  const results = await Promise.all(load)
  await owners.stop()
  const calls = results.reduce((sum, each) => sum + each.calls, 0)
  const failures = results.flatMap((each) => each.failures)
  for (const failure of failures.slice(0, 5)) report(`failed: ${failure}`)
  return { renewed, certificates: seen.size, ended, calls, failed: failures.length }
}

function certificatesOf(owner: LinkedOwner): X509Certificate[] {
  return ['clinic', 'university'].flatMap((name) =>
    owner.link.peerings.of(name).map(({ certificate }) => new X509Certificate(certificate)),
  )
}

/** Whether the owner calls over a connection, and has one of each purpose whose certificate was not seen before this rotation. */
function showsNew(owner: LinkedOwner, seen: ReadonlySet<string>): boolean {
  const name = owner.name === 'clinic' ? 'university' : 'clinic'
  const isNew = owner.link.peerings
    .of(name)
    .filter((each) => !each.retiring() && !seen.has(new X509Certificate(each.certificate).fingerprint256))
  const purposes = new Set(isNew.map(({ purpose }) => purpose))
  return owner.link.peerings.canCall(name) && purposes.size === 2
}

/** Calls at a steady rate until told to stop. */
async function callAll(owner: LinkedOwner, peerName: string, signal: AbortSignal) {
  const requestId = crypto.randomUUID()
  const message = { sequence: 1, requestId, work: serveWork() }
  const envelope = await owner.seal('Request', peerName, message, 3600)
  const request = { kind: codeOfKind('Request'), requestId, sequence: 1, envelope }
  const running: Promise<void>[] = []
  const failures: string[] = []
  while (!signal.aborted) {
    running.push(
      owner.link.peerings
        .call(peerName, deliver, request, { signal: new AbortController().signal, timeoutSeconds: 20 })
        .then(({ response }) => {
          if (response.refusal !== undefined) failures.push(response.refusal.reason)
        })
        .catch((error: unknown) => {
          failures.push(error instanceof CallError ? `${error.reason}: ${error.message}` : String(error))
        }),
    )
    await pause(1000 / callsPerSecond)
  }
  await Promise.all(running)
  return { calls: running.length, failures }
}

/** Seconds until an owner that was away, while all that the two know of each other ran out, can be called again. */
async function comeBack(report: (line: string) => void): Promise<number | undefined> {
  const owners = await pair({ seconds: certificateSeconds })
  const { clinic, university } = owners
  for (const [owner, other] of [
    [clinic, university],
    [university, clinic],
  ] as const) {
    // The last bundle that each got of the other ends with the certificates.
    await other.owner.publish({ notAfter: new Date(Date.now() + certificateSeconds * 1000).toISOString() })
    const { sequence, notAfter } = other.owner.bundle
    const { envelope } = other.owner
    owner.cluster.change(peers, { name: other.name }, (peer) => {
      const { links: _gone, ...status } = peer.status ?? {}
      peer.status = { ...status, bundle: { sequence, notAfter, envelope } }
    })
  }
  await clinic.link.close()
  report(`away for ${2 * certificateSeconds} s`)
  await pause(2000 * certificateSeconds)
  for (const each of [clinic, university]) {
    await each.owner.publish({ notAfter: new Date(Date.now() + 3_600_000).toISOString() })
    each.cluster.put(identities, identityOf(each.owner))
    await each.certificates.renew(3600)
  }
  const began = performance.now()
  await clinic.restart()
  const back = await until(() => {
    clinic.judgePeers()
    university.judgePeers()
    return clinic.link.peerings.canCall('university') && university.link.peerings.canCall('clinic')
  }, 90).then(
    () => (performance.now() - began) / 1000,
    () => undefined,
  )
  await owners.stop()
  return back
}

async function interwork(report: (line: string) => void): Promise<number> {
  let works = 0
  for (const [ours, theirs] of [
    [[2, 1], [1]],
    [[1], [2, 1]],
    [
      [2, 1],
      [3, 2],
    ],
    [
      [3, 2],
      [2, 1],
    ],
  ] as const) {
    const owners = await pair({ ours, theirs })
    const { clinic, university } = owners
    const [there, back] = [await clinic.ask('university'), await university.ask('clinic')]
    const has = (owner: LinkedOwner, id: string) =>
      owner.cluster.all(guestWorks).some(({ spec }) => spec.requestId === id)
    const ok = await until(() => has(university, there) && has(clinic, back), 30).then(
      () => true,
      () => false,
    )
    report(`versions ${ours} and ${theirs}: ${ok ? 'work' : 'FAILED'}`)
    if (ok) works += 1
    await owners.stop()
  }
  return works
}

async function until(holds: () => boolean, seconds: number): Promise<void> {
  const end = performance.now() + seconds * 1000
  while (!holds()) {
    if (performance.now() > end) throw new Error(`not within ${seconds} s`)
    await pause(20)
  }
}

function pause(milliseconds: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, milliseconds))
}
