import { apiVersion } from '@hansa/operator/api/resource.ts'
import { createApplier } from '@hansa/operator/kube/apply-if-changed.ts'
import type { KubeClient } from '@hansa/operator/kube/client-types.ts'
import { guestWorks, peers, remoteWorks } from '@hansa/operator/kube/hansa-resources.ts'
import type { Resource } from '@hansa/operator/kube/resource.ts'
import { type OwnParts, type Work, writeOwnParts } from '@hansa/operator/link/courier/mailbox.ts'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { z } from 'zod'
import { type Owner, startOwner } from '../../cluster/owner.ts'
import { eventually } from '../cluster/eventually.ts'
import {
  elsewhere,
  foreignFields,
  fullStatus,
  type LinkKind,
  linkClient,
  objectOf,
  ownFields,
  pathOf,
} from './link-hands.ts'
import { chartFolder, releaseNamespace } from './render.ts'

const { signal } = new AbortController()
let owner: Owner
let client: KubeClient
let token: string

beforeAll(async () => {
  owner = await startOwner({ name: 'link-admission' })
  for (const namespace of [elsewhere, releaseNamespace]) {
    expect(await owner.kubectl(['create', 'namespace', namespace])).toMatchObject({ code: 0 })
  }
  const installed = await owner.helm(['install', 'hansa', chartFolder, '--namespace', releaseNamespace])
  expect(installed).toMatchObject({ code: 0 })
  ;({ client, token } = await linkClient(owner))
  for (const kind of ['GuestWork', 'RemoteWork', 'Peer'] as const) {
    await eventually(() => make(kind, 'new'))
    await make(kind, 'full', fullStatus(kind))
  }
  // The API server takes a policy up a moment after its creation.
  await eventually(async () => {
    expect((await patch('GuestWork', 'new', { decision: 'Granted' })).message).toContain('only its own parts')
  })
})
afterAll(async () => {
  await client?.close()
  await owner?.stop()
})

const ownedSchema = z.object({ metadata: z.object({ managedFields: z.array(z.unknown()).min(1) }) })
const answerSchema = z.looseObject({ message: z.string().default('') })

async function send(request: Parameters<Owner['request']>[0]) {
  const { status, body } = await owner.request(request)
  return { code: status, message: answerSchema.parse(body).message }
}

/** Makes an object as an administrator, its status with the manager of the operator. */
async function make(kind: LinkKind, name: string, status?: object): Promise<void> {
  const path = pathOf(kind)
  expect(await send({ method: 'POST', path, body: objectOf(kind, name) })).toMatchObject({ code: 201, message: '' })
  if (status !== undefined) expect(await apply(kind, name, status, 'hansa-operator', '')).toMatchObject({ code: 200 })
}

/** Server-side apply with force, as the link writes; kept only with `dryRun` left empty. */
function apply(kind: LinkKind, name: string, status: object, manager: string, as = token, dryRun = '') {
  const { spec: _, ...object } = objectOf(kind, name, status)
  return send({
    method: 'PATCH',
    path: `${pathOf(kind, name)}/status?force=true&fieldManager=${manager}${dryRun}`,
    body: object,
    contentType: 'application/apply-patch+yaml',
    ...(as !== '' && { token: as }),
  })
}

/** What the API server says to the link that would patch the status, or more of the object; nothing is kept. */
function patch(kind: LinkKind, name: string, status: object, more: object = {}) {
  return send({
    method: 'PATCH',
    path: `${pathOf(kind, name)}/status?dryRun=All`,
    body: { status, ...more },
    token,
  })
}

const refused = (message: string) => ({ code: 422, message: expect.stringContaining(message) as string })
const foreign = refused('only its own parts of a status')

describe.each(ownFields)('status.$field of a $kind', ({ kind, field, values }) => {
  test('is for the link to write, change and remove', async () => {
    expect(await patch(kind, 'new', { [field]: values[0] })).toMatchObject({ code: 200 })
    expect(await patch(kind, 'full', { [field]: values[1] })).toMatchObject({ code: 200 })
    expect(await patch(kind, 'full', { [field]: null })).toMatchObject({ code: 200 })
    const applied = await apply(kind, 'full', { [field]: values[1] }, 'hansa-link', token, '&dryRun=All')
    expect(applied).toMatchObject({ code: 200 })
  })
})

describe.each(foreignFields)('status.$field of a $kind', ({ kind, field, values }) => {
  test('is not for the link to write, change, remove or own', async () => {
    expect(values[1]).not.toEqual(values[0])
    expect(await patch(kind, 'new', { [field]: values[0] })).toMatchObject(foreign)
    expect(await patch(kind, 'full', { [field]: values[1] })).toMatchObject(foreign)
    expect(await patch(kind, 'full', { [field]: null })).toMatchObject(foreign)
    const same = await apply(kind, 'full', { [field]: values[0] }, 'hansa-link', token, '&dryRun=All')
    expect(same).toMatchObject(refused('may own only'))
    const forged = await apply(kind, 'full', { [field]: values[1] }, 'hansa-operator', token, '&dryRun=All')
    expect(forged.code).toBe(422)
  })
})

test.each(['GuestWork', 'RemoteWork', 'Peer'] as const)('the link cannot remove the status of a %s', async (kind) => {
  const path = `${pathOf(kind, 'full')}/status`
  const emptied = await send({ method: 'PATCH', path, body: { status: null }, token })
  expect(emptied).toMatchObject(foreign)
  const [own] = ownFields.filter((each) => each.kind === kind)
  if (own === undefined) throw new Error('the link has no part of it')
  const left = await apply(kind, 'full', { [own.field]: own.values[0] }, 'hansa-operator', token, '&dryRun=All')
  expect(left).toMatchObject(foreign)
})

test('the link cannot change who owns which field', async () => {
  const path = pathOf('RemoteWork', 'full')
  const ownersOf = (answer: { body: unknown }) => ownedSchema.parse(answer.body).metadata.managedFields
  const before = ownersOf(await owner.request({ path }))
  const theirs = { manager: 'hansa-operator', operation: 'Apply', apiVersion, fieldsType: 'FieldsV1' }
  for (const forged of [{}, { ...theirs, subresource: 'status', fieldsV1: { 'f:status': { 'f:lease': {} } } }]) {
    const body = { metadata: { managedFields: [forged] }, status: {} }
    const answer = await owner.request({ method: 'PATCH', path: `${path}/status?dryRun=All`, body, token })
    expect(ownersOf(answer)).toEqual(before)
  }
  const { lease: _, ...others } = fullStatus('RemoteWork')
  const kept = await apply('RemoteWork', 'full', others, 'hansa-link', token, '&dryRun=All')
  expect(kept).toMatchObject(refused('leaves what others own'))
})

test('the link changes nothing but the status through the status', async () => {
  const more = {
    metadata: {
      labels: { a: 'b' },
      annotations: { 'hansa.dev/veto': 'stop: x' },
      finalizers: ['hansa.dev/x'],
      ownerReferences: [{ apiVersion: 'v1', kind: 'Namespace', name: 'default', uid: 'x' }],
    },
    spec: { request: 'forged' },
  }
  const path = pathOf('GuestWork', 'new')
  const read = async () => (await owner.request({ path })).body
  const before = await read()
  expect(await send({ method: 'PATCH', path: `${path}/status`, body: more, token })).toMatchObject({ code: 200 })
  expect(await read()).toEqual(before)
  for (const method of ['PATCH', 'DELETE'] as const) {
    expect(await send({ method, path, body: {}, token })).toMatchObject({ code: 403 })
  }
})

test('the link makes requests in its namespace alone, whose end it does not decide, and without a status', async () => {
  const create = (name: string, metadata: object = {}, namespace = releaseNamespace) => {
    const made = objectOf('GuestWork', name, fullStatus('GuestWork'))
    const body = { ...made, metadata: { ...made.metadata, namespace, ...metadata } }
    return send({ method: 'POST', path: pathOf('GuestWork', '', namespace), body, token })
  }
  expect(await create('asked')).toMatchObject({ code: 201 })
  expect((await owner.request({ path: pathOf('GuestWork', 'asked') })).body).not.toHaveProperty('status')
  expect(await create('stays', { finalizers: ['hansa.dev/x'] })).toMatchObject(refused('when a request is deleted'))
  expect(await create('there', {}, elsewhere)).toMatchObject({ code: 403 })
})

test('rights that somebody gives the link by mistake do not help it', async () => {
  const binding = ['create', 'clusterrolebinding', 'mistake', '--clusterrole=cluster-admin']
  await owner.kubectl([...binding, `--serviceaccount=${releaseNamespace}:hansa-link`])
  const beyond = refused('may only put down requests of peers')
  await eventually(async () => {
    const body = { metadata: { annotations: { 'hansa.dev/veto': 'stop: x' } } }
    expect(await send({ method: 'PATCH', path: pathOf('GuestWork', 'full'), body, token })).toMatchObject(beyond)
  })
  const there = { method: 'POST', path: pathOf('GuestWork', '', elsewhere), token } as const
  const body = { ...objectOf('GuestWork', 'there'), metadata: { name: 'there', namespace: elsewhere } }
  expect(await send({ ...there, body })).toMatchObject(beyond)
  expect(await send({ method: 'DELETE', path: pathOf('Peer', 'full'), token })).toMatchObject(beyond)
  expect(await owner.kubectl(['delete', 'clusterrolebinding', 'mistake'])).toMatchObject({ code: 0 })
})

/** Writes parts of a status as the link does, before and after somebody made the API server forget who owns what. */
async function carry<T extends Work>(resource: Resource<T>, kind: LinkKind, versions: OwnParts<T>[]): Promise<void> {
  await make(kind, 'carried', fullStatus(kind))
  for (const parts of versions) {
    const live = await client.get(resource, objectOf(kind, 'carried').metadata, { signal })
    if (live === undefined) throw new Error('it is gone')
    expect(await writeOwnParts(client, resource, live, () => parts, signal)).toBe(true)
    const body = { metadata: { managedFields: [{}] } }
    expect(await send({ method: 'PATCH', path: pathOf(kind, 'carried'), body })).toMatchObject({ code: 200 })
  }
}

test('the courier of the link works under the policy, also where owners of fields were forgotten', async () => {
  const message = { sequence: 7, envelope: '{}' }
  await carry(guestWorks, 'GuestWork', [
    { inbox: [{ kind: 'Renewal', ...message }] },
    { inbox: [{ kind: 'Cancel', ...message }], delivered: [{ kind: 'Answer', sequence: 7 }] },
  ])
  await carry(remoteWorks, 'RemoteWork', [
    { delivered: [{ kind: 'Request', sequence: 7 }] },
    { delivered: [{ kind: 'Request', sequence: 8 }], inbox: [{ kind: 'Answer', ...message }] },
  ])
})

test('the reporter of the link works under the policy', async () => {
  await make('Peer', 'reported', fullStatus('Peer'))
  for (const replica of ['one', 'two', 'one']) {
    const live = await client.get(peers, { name: 'reported' }, { signal })
    if (live === undefined) throw new Error('it is gone')
    const links = [{ replica, connected: true, direction: 'None' as const }]
    const desired = { apiVersion: live.apiVersion, kind: live.kind, metadata: { name: 'reported' }, status: { links } }
    await createApplier(client, `hansa-link-${replica}`).applyStatus(peers, desired, live, { signal })
  }
  expect(await apply('Peer', 'reported', {}, 'hansa-link-two')).toMatchObject({ code: 200 })
})
