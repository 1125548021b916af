import { createAuthority } from '@hansa/operator/identity/authority.ts'
import { expect, onTestFinished, test } from 'vitest'
import { addModel } from '../../builders/onnx-model.ts'
import { operatorUri, startRig } from './fetch-rig.ts'
import { modelRequest } from './model-request.ts'
import { redirects, sends, startModelSource } from './model-source.ts'
import { type Secret, startSecretApi } from './secret-api.ts'

const model = addModel()
const files = { 'model.onnx': model }
const secretToken = 'do-not-leak-me'

/** An API server that knows one Secret, a source with two names, and a fetch that uses both. */
async function withSecret(secret: Secret) {
  const authority = await createAuthority({ trustDomain: 'test.hansa' })
  const source = await startModelSource(authority, ['models.example', 'mirror.example'])
  onTestFinished(() => source.close())
  const { env, asked } = await startSecretApi(authority, secret)
  const rig = await startRig({ authority, env: { ...env, HANSA_FETCH_RETRY_SECONDS: '30' } })
  const body = modelRequest(`${source.url()}`, files, {
    source: { https: { url: source.url(), credentialsSecretName: 'store' } },
  })
  return { source, rig, asked, body }
}

test('a token goes to the source that it is for, and not to where that redirects', async () => {
  const { source, rig, asked, body } = await withSecret({ status: 200, data: { token: secretToken } })
  source.handlers.set('/model.onnx', redirects(`https://mirror.example:${source.port}/signed`))
  source.handlers.set('/signed', sends(model))
  await rig.put(body)
  await rig.until(body.uid, 'Verified')
  expect(asked).toEqual(['GET /api/v1/namespaces/radiology/secrets/store Bearer fetch-own-token'])
  expect(source.hits.map(({ headers }) => headers.authorization)).toEqual([`Bearer ${secretToken}`, undefined])
})

test('a user name and password are sent as Basic', async () => {
  const { source, rig, body } = await withSecret({ status: 200, data: { username: 'ada', password: 'x:y' } })
  source.handlers.set('/model.onnx', sends(model))
  await rig.put(body)
  await rig.until(body.uid, 'Verified')
  expect(source.hits[0]?.headers.authorization).toBe(`Basic ${Buffer.from('ada:x:y').toString('base64')}`)
})

test.each([
  [403, undefined, 'kubectl create rolebinding hansa-source-credentials --namespace radiology'],
  [404, undefined, 'does not exist'],
  [200, { password: secretToken }, 'no usable key'],
  [200, { token: `${secretToken}\r\nx-injected: 1` }, 'no usable key'],
])('a Secret answered with %i and %j is CredentialsNotGranted, and the source is not asked', async (status, data, words) => {
  const { source, rig, body } = await withSecret({ status, ...(data === undefined ? {} : { data }) })
  await rig.put(body)
  const state = await rig.until(body.uid, 'Failed')
  expect(state).toMatchObject({ reason: 'CredentialsNotGranted', message: expect.stringContaining(words) })
  expect(source.hits).toEqual([])
  const list = await rig.call(operatorUri, 'GET', '/v1/models')
  expect(list.bytes.toString()).not.toContain(secretToken)
})
