import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { openMessage } from '@hansa/operator/federation/open-message.ts'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { peerOf, testOwner } from '../../builders/federation.ts'
import { nonceOf } from '../../builders/join.ts'
import { installDefinitions } from '../../cluster/definitions.ts'
import { runHansa } from '../../cluster/hansa/hansa-cli.ts'
import { conditionText, type JoinSide, startJoinSide } from '../../cluster/hansa/join-side.ts'
import { type Owner, startOwner } from '../../cluster/owner.ts'
import { eventually } from '../../demo/wait.ts'

const clinic = await testOwner('clinic', { address: 'link.clinic.example:9444' })
const university = await testOwner('university')
const third = await testOwner('third')
let clusters: Owner[] = []
let folder = ''
let atClinic: JoinSide
let atUniversity: JoinSide
const file = (name: string) => join(folder, name)
const cluster = (index: 0 | 1) => {
  const found = clusters[index]
  if (found === undefined) throw new Error('the control planes did not start')
  return found
}

async function ok(side: JoinSide, args: readonly string[], typed?: string): Promise<string> {
  const { code, stdout, stderr } = await side.hansa(args, typed)
  expect({ args, code, stderr }).toEqual({ args, code: 0, stderr })
  return stdout
}

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'hansa-join-'))
  clusters = await Promise.all(['clinic', 'university'].map((name) => startOwner({ name })))
  await Promise.all(clusters.map(installDefinitions))
  atClinic = await startJoinSide(cluster(0), clinic)
  atUniversity = await startJoinSide(cluster(1), university)
})
afterAll(async () => {
  await Promise.all([atClinic?.stop(), atUniversity?.stop()])
  await Promise.all(clusters.map((each) => each.stop()))
  await rm(folder, { recursive: true, force: true })
})

test('a dry run says what the other side will be able to ask, and writes nothing', async () => {
  const policy = {
    apiVersion: 'hansa.dev/v1alpha1',
    kind: 'SharePolicy',
    metadata: { name: 'nights' },
    spec: {
      peers: [{ name: 'university' }],
      workloads: ['Serve'],
      targetNamespace: 'guests',
      windows: [{ name: 'night', timeZone: 'Europe/Berlin', start: '20:00', end: '06:00' }],
      quota: { 'nvidia.com/gpu': '4' },
      dataClasses: ['Public', 'Internal'],
      price: { currency: 'EUR', microsPerGPUHour: 400_000 },
    },
  }
  const applied = await cluster(0).kubectl(['apply', '-f', '-'], { input: JSON.stringify(policy) })
  expect(applied.stderr).toBe('')
  const said = await ok(atClinic, ['peer', 'invite', 'university', '--identity', 'main', '--dry-run', '-o', file('no')])
  for (const line of [
    'SharePolicy nights',
    'Serve, in namespace guests',
    'nvidia.com/gpu 4; 16 leases',
    '20:00-06:00 Europe/Berlin; only what is idle',
    'Public, Internal',
    '0.4 EUR a GPU hour',
    'owner clinic, cluster main',
    'nothing: no EgressPolicy names it',
  ]) {
    expect(said).toContain(line)
  }
  await expect(readFile(file('no'))).rejects.toThrow('ENOENT')
  expect((await atClinic.hansa(['peer', 'show', 'university'])).code).toBe(4)
})

test('two admins join by two files and a telephone call', async () => {
  await ok(atClinic, ['peer', 'invite', 'university', '--identity', 'main', '-o', file('invite.json')])
  expect(conditionText(await atClinic.judged('university'), 'Verified')).toBe('False Invited')
  const names = ['--name', 'clinic', '--identity', 'main']
  const before = await ok(atUniversity, ['peer', 'accept', file('invite.json'), ...names, '--dry-run'])
  expect(before).toContain('owner clinic, cluster main')
  expect((await atUniversity.hansa(['peer', 'show', 'clinic'])).code).toBe(4)
  await ok(atUniversity, ['peer', 'accept', file('invite.json'), ...names, '-o', file('acceptance.json')])
  await ok(atClinic, ['peer', 'complete', file('acceptance.json')])
  for (const [side, name] of [
    [atClinic, 'university'],
    [atUniversity, 'clinic'],
  ] as const) {
    expect(conditionText(await side.judged(name), 'Verified')).toBe('False Unverified')
  }

  const readOut = await ok(atClinic, ['peer', 'fingerprint', 'university'])
  expect(readOut).toMatch(/^([0-9a-f]{4}-){7}[0-9a-f]{4}\n$/)
  const wrong = await atUniversity.hansa(
    ['peer', 'verify', 'clinic'],
    readOut.replace(/^./, (c) => (c === '0' ? '1' : '0')),
  )
  expect(wrong).toMatchObject({ code: 1, stdout: '' })
  expect(wrong.stderr).toContain('the Peer stays unverified')
  expect(wrong.stderr).toContain('Hear it once more')
  expect(wrong.stderr).not.toContain(readOut.trim().slice(5))
  expect(conditionText(await atUniversity.judged('clinic'), 'Verified')).toBe('False Unverified')
  expect((await atUniversity.hansa(['peer', 'verify', 'clinic'], 'yes')).code).toBe(2)
  expect((await atUniversity.hansa(['peer', 'verify', 'clinic'], undefined)).code).toBe(2)

  await ok(atUniversity, ['peer', 'verify', 'clinic'], readOut.replaceAll('-', ' ').toUpperCase())
  expect(conditionText(await atUniversity.judged('clinic'), 'Verified')).toBe('True FingerprintMatches')
  expect(conditionText(await atClinic.judged('university'), 'Verified')).toBe('False Unverified')
  const other = await ok(atUniversity, ['peer', 'fingerprint', 'clinic'])
  await ok(atClinic, ['peer', 'verify', 'university', '--fingerprint', other])
  const peer = await atClinic.judged('university')
  expect(conditionText(peer, 'Verified')).toBe('True FingerprintMatches')
  expect(peer.status.trustDomain).toBe(university.bundle.trustDomain)
  expect(conditionText(peer, 'Ready')).toBe('Unknown NotConnected')
  expect((await atUniversity.judged('clinic')).spec).toMatchObject({
    address: 'link.clinic.example:9444',
    dial: 'Us',
    rootKey: clinic.bundle.rootKey,
  })
})

test('an invite works once, and no owner joins twice or itself', async () => {
  const again = await atClinic.hansa(['peer', 'complete', file('acceptance.json')])
  expect(again).toMatchObject({ code: 1, stderr: expect.stringContaining('it works once') })
  const twice = await atUniversity.hansa(['peer', 'accept', file('invite.json'), '--name', 'b', '--identity', 'main'])
  expect(twice).toMatchObject({ code: 1, stderr: expect.stringContaining('Peer clinic is that cluster') })
  const own = await atClinic.hansa(['peer', 'accept', file('invite.json'), '--name', 'self', '--identity', 'main'])
  expect(own).toMatchObject({ code: 5, stderr: expect.stringContaining('our own key') })
  const name = await atClinic.hansa(['peer', 'invite', 'university', '--identity', 'main'])
  expect(name).toMatchObject({ code: 1, stdout: '', stderr: expect.stringContaining('there is a Peer university') })
})

test('what the links say shows in the conditions, but not what a pod that is gone has said', async () => {
  const link = { replica: 'link-0', connected: true, direction: 'Inbound', protocolVersion: 1 }
  await atClinic.linkSays('university', [link])
  expect(conditionText(await atClinic.judged('university'), 'Connected')).toBe('Unknown NotConnected')
  const pod = { containers: [{ name: 'link', image: 'link' }], nodeSelector: { none: 'such' } }
  const made = await cluster(0).request({
    method: 'POST',
    path: '/api/v1/namespaces/default/pods',
    body: { metadata: { name: 'link-0' }, spec: pod },
  })
  expect(made.status).toBe(201)
  const connected = (text: string) =>
    eventually(`Connected becomes ${text}`, async () =>
      conditionText(await atClinic.judged('university'), 'Connected') === text ? true : undefined,
    )
  await connected('True Connected')
  expect(conditionText(await atClinic.judged('university'), 'Ready')).toBe('Unknown AwaitingConfirmation')
  await cluster(0).kubectl(['delete', 'pod', 'link-0', '--force', '--grace-period=0'])
  await connected('Unknown NotConnected')
})

test('the statement that the link hands over is the signed word of the owner', async () => {
  const { status } = await atClinic.judged('university')
  const read = openMessage('Confirmation', status.statement?.outgoing ?? '', {
    peer: peerOf(clinic),
    ownBundle: university.bundle,
    now: Date.now(),
  })
  expect(read).toMatchObject({ ok: true, message: { asks: nonceOf('clinic'), epoch: 0 } })
})

test('root keys that rotate leave the Peer verified on both sides', async () => {
  const { bundle } = (await atUniversity.judged('clinic')).status
  await clinic.rotateRoot()
  await atClinic.publish(clinic)
  await atUniversity.linkSays('clinic', [
    { replica: 'link-0', connected: false, direction: 'None', bundle: clinic.envelope },
  ])
  const followed = await eventually('the university follows the new key', async () => {
    const peer = await atUniversity.judged('clinic')
    return peer.status.rootKey === clinic.bundle.rootKey ? peer : undefined
  })
  expect(followed.status.bundle?.sequence).toBeGreaterThan(bundle?.sequence ?? 0)
  expect(conditionText(followed, 'Verified')).toBe('True FingerprintMatches')
  expect(conditionText(await atClinic.judged('university'), 'Verified')).toBe('True FingerprintMatches')
})

test('freezing and leaving need nobody on the other side', async () => {
  await atUniversity.stop()
  await ok(atClinic, ['peer', 'freeze', 'university', '--reason', 'a key may be stolen'])
  expect(conditionText(await atClinic.judged('university'), 'Connected')).toBe('False Suspended')
  expect(await ok(atClinic, ['peer', 'list'])).toMatch(
    /university +university +main +main +True +False +False +Suspended/,
  )
  const shown = await atClinic.hansa(['peer', 'show', 'university'])
  expect(shown).toMatchObject({ code: 1, stdout: expect.stringContaining('a key may be stolen') })
  await ok(atClinic, ['peer', 'unfreeze', 'university'])
  await ok(atClinic, ['freeze'])
  await eventually('the one switch freezes the Peer', async () =>
    conditionText(await atClinic.judged('university'), 'Connected') === 'False Suspended' ? true : undefined,
  )
  await ok(atClinic, ['unfreeze'])
  expect((await atClinic.hansa(['peer', 'leave', 'university'], 'no')).code).toBe(2)
  await ok(atClinic, ['peer', 'leave', 'university'], 'university')
  expect((await atClinic.hansa(['peer', 'show', 'university'])).code).toBe(4)
})

test('guest work is listed and ended with a reason', async () => {
  const spec = { peerRef: { name: 'university' }, requestId: '00000000-0000-4000-8000-000000000000', request: '{}' }
  const path = '/apis/hansa.dev/v1alpha1/namespaces/default/guestworks'
  const body = { apiVersion: 'hansa.dev/v1alpha1', kind: 'GuestWork', metadata: { name: 'g' }, spec }
  expect((await cluster(0).request({ method: 'POST', path, body })).status).toBe(201)
  const here = ['--system-namespace', 'default']
  expect(await ok(atClinic, ['guest', 'list', ...here])).toMatch(/g +university +Undecided/)
  await ok(atClinic, ['guest', 'preempt', 'g', '--reason', 'we need the GPU', ...here])
  const seen = await cluster(0).request({ path: `${path}/g` })
  expect(JSON.stringify(seen.body)).toContain('"hansa.dev/veto":"preempt: we need the GPU"')
  expect((await atClinic.hansa(['guest', 'stop', 'none', '--reason', 'x', ...here])).code).toBe(4)
  expect((await atClinic.hansa(['guest', 'stop', 'g', '--reason', ' ', ...here])).code).toBe(2)
})

test('orders about keys become annotations, and giving up asks for the name', async () => {
  await ok(atClinic, ['identity', 'rotate-root', 'main'])
  await ok(atClinic, ['identity', 'revoke-keys', 'main'])
  expect((await atClinic.hansa(['identity', 'revoke', 'main'], 'other')).code).toBe(2)
  await ok(atClinic, ['identity', 'revoke', 'main'], 'main')
  const { body } = await cluster(0).request({ path: '/apis/hansa.dev/v1alpha1/identities/main' })
  for (const order of ['rotate-root', 'revoke-keys', 'revoke-identity']) {
    expect(JSON.stringify(body)).toMatch(new RegExp(`"hansa.dev/${order}":"20[0-9-]+T`))
  }
})

test('the real process reads the fingerprint from its standard input', async () => {
  await ok(atClinic, ['peer', 'invite', 'third', '--identity', 'main', '-o', file('third.json')])
  await atUniversity.publish(third, 'third')
  const accept = [
    'peer',
    'accept',
    file('third.json'),
    '--name',
    'c',
    '--identity',
    'third',
    '-o',
    file('third-ok.json'),
  ]
  await writeFile(file('broken.json'), (await readFile(file('third.json'), 'utf8')).slice(0, 100))
  expect((await runHansa(cluster(1), ['peer', 'accept', file('broken.json'), ...accept.slice(3)])).code).toBe(5)
  await cluster(1).kubectl(['delete', 'peer', 'clinic'])
  expect(await runHansa(cluster(1), accept)).toMatchObject({ code: 0, stdout: '' })
  expect(await runHansa(cluster(0), ['peer', 'complete', file('third-ok.json')])).toMatchObject({ code: 0 })
  const { stdout } = await runHansa(cluster(1), ['peer', 'fingerprint', 'c'])
  const typed = await runHansa(cluster(0), ['peer', 'verify', 'third'], { input: stdout })
  expect(typed).toMatchObject({ code: 0, stdout: '' })
  expect(conditionText(await atClinic.judged('third'), 'Verified')).toBe('True FingerprintMatches')
})

test('a peer that is connected is told that we leave', async () => {
  const made = await cluster(0).request({
    method: 'POST',
    path: '/api/v1/namespaces/default/pods',
    body: {
      metadata: { name: 'link-1' },
      spec: { containers: [{ name: 'link', image: 'link' }], nodeSelector: { none: 'such' } },
    },
  })
  expect(made.status).toBe(201)
  await atClinic.linkSays('third', [{ replica: 'link-1', connected: true, direction: 'Inbound', protocolVersion: 1 }])
  await eventually('the third is connected', async () =>
    conditionText(await atClinic.judged('third'), 'Connected') === 'True Connected' ? true : undefined,
  )
  const leaving = ok(atClinic, ['peer', 'leave', 'third', '--yes'])
  // What the link sees in the meantime, and hands over.
  const goodbye = await eventually(
    'the operator signs a goodbye',
    async () => {
      const { body } = await cluster(0).request({ path: '/apis/hansa.dev/v1alpha1/peers/third' })
      return (body as { status?: { statement?: { goodbye?: string } } }).status?.statement?.goodbye
    },
    { everyMilliseconds: 20 },
  )
  const options = { peer: peerOf(clinic), ownBundle: third.bundle, now: Date.now() }
  expect(openMessage('Goodbye', goodbye, options)).toMatchObject({ ok: true, message: { state: 'Left' } })
  await leaving
  expect((await atClinic.hansa(['peer', 'show', 'third'])).code).toBe(4)
})
