import { peers } from '@hansa/operator/kube/hansa-resources.ts'
import { afterEach, expect, test } from 'vitest'
import { eventually } from '../gateway/gateway-under-test.ts'
import { answer, guestOf, type LinkedOwner, remoteOf, startLinkedOwner } from './link-rig.ts'

const running: LinkedOwner[] = []
afterEach(async () => {
  await Promise.all(running.splice(0).map((each) => each.stop()))
})

async function owner(...options: Parameters<typeof startLinkedOwner>): Promise<LinkedOwner> {
  const started = await startLinkedOwner(...options)
  running.push(started)
  return started
}

test('an owner that nobody can dial asks and is answered over the connections that it opened', async () => {
  const [clinic, university] = await Promise.all([owner('clinic'), owner('university')])
  university.knows(clinic, { dial: 'Them' })
  clinic.knows(university, { dial: 'Us', address: `127.0.0.1:${university.link.port}` })

  const id = await clinic.ask('university')
  await eventually(() => expect(guestOf(university, 'clinic', id)?.spec.requestId).toBe(id))
  await eventually(() => expect(remoteOf(clinic, id)?.status?.delivered).toEqual([{ kind: 'Request', sequence: 1 }]))

  await answer(university, 'clinic', id)
  await eventually(() => expect(remoteOf(clinic, id)?.status?.inbox?.[0]?.kind).toBe('Answer'))
  await eventually(() =>
    expect(guestOf(university, 'clinic', id)?.status?.delivered).toEqual([{ kind: 'Answer', sequence: 1 }]),
  )

  await eventually(() => {
    const [entry] = university.cluster.read(peers, { name: 'clinic' })?.status?.links ?? []
    expect(entry).toMatchObject({ connected: true, direction: 'Inbound', protocolVersion: 2 })
    const [other] = clinic.cluster.read(peers, { name: 'university' })?.status?.links ?? []
    expect(other).toMatchObject({ connected: true, direction: 'Outbound', protocolVersion: 2 })
  })
})
