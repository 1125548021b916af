import { Agent, request } from 'undici'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { stringify } from 'yaml'
import { miniLmFolder } from '../../builders/minilm.ts'
import { claimedModel } from '../../cluster/hansa/claimed-model.ts'
import { condition, read } from '../../cluster/hansa/conditions.ts'
import { type Installation, startInstallation } from '../../cluster/hansa/installation.ts'
import { eventually } from '../../demo/wait.ts'
import reference from '../serve/minilm-reference.json' with { type: 'json' }

const namespace = 'search'
let installation: Installation
let agent: Agent

beforeAll(async () => {
  const folder = await miniLmFolder()
  installation = await startInstallation({ name: 'embeddings', nodes: 1 })
  const { owner } = installation
  const embedding = { pooling: 'Mean', maxTokens: 256 }
  const paths = ['model.onnx', 'tokenizer.json']
  const model = await claimedModel({ name: 'minilm', namespace, folder, paths, spec: { embedding } })
  const objects = [
    { apiVersion: 'v1', kind: 'Namespace', metadata: { name: namespace } },
    { apiVersion: 'v1', kind: 'ServiceAccount', metadata: { name: 'front', namespace } },
    {
      apiVersion: 'hansa.dev/v1alpha1',
      kind: 'InferenceService',
      metadata: { name: 'embed', namespace },
      spec: {
        modelRef: { name: 'minilm' },
        scaling: { minReplicas: 1, maxReplicas: 1 },
        batching: { maxSize: 32, maxDelayMilliseconds: 2 },
        access: { serviceAccounts: [{ namespace, name: 'front' }] },
      },
    },
  ]
  const input = [...objects.map((object) => stringify(object)), model].join('---\n')
  const applied = await owner.kubectl(['apply', '-f', '-'], { input })
  expect(applied.stderr).toBe('')
  await eventually('the service is Ready', async () =>
    condition(await read(owner, 'inferenceservice', 'embed', namespace), 'Ready')?.status === 'True' ? true : undefined,
  )
  agent = new Agent({ connect: { ca: await installation.trustPem() } })
})
afterAll(async () => {
  await agent?.close()
  await installation?.stop()
})

async function post(body: object, token: string | undefined): Promise<{ status: number; json: unknown }> {
  const response = await request(`${installation.gatewayUrl}/${namespace}/embed/v1/embeddings`, {
    dispatcher: agent,
    method: 'POST',
    headers: { 'content-type': 'application/json', ...(token !== undefined && { authorization: `Bearer ${token}` }) },
    body: JSON.stringify(body),
  })
  return { status: response.statusCode, json: await response.body.json() }
}

test('a user gets the vectors that PyTorch gives, through gateway and worker of an installation', async () => {
  const token = await installation.token('front', namespace)
  const [first] = reference.texts
  const { status, json } = await post({ model: 'embed', input: first?.text }, token)
  expect(status).toBe(200)
  expect(json).toMatchObject({
    object: 'list',
    model: 'embed',
    data: [{ index: 0, embedding: first?.vector.map((value) => expect.closeTo(value, 4)) }],
    usage: { prompt_tokens: first?.ids.length },
  })
})

test('callers at the same time all get their own vectors', async () => {
  const token = await installation.token('front', namespace)
  const answers = await Promise.all(
    Array.from({ length: 24 }, async (_, at) => {
      const expected = reference.texts[at % reference.texts.length]
      const { json } = await post({ model: 'embed', input: [expected?.text] }, token)
      return { json, expected }
    }),
  )
  for (const { json, expected } of answers) {
    expect(json).toMatchObject({ data: [{ embedding: expected?.vector.map((value) => expect.closeTo(value, 4)) }] })
  }
})

test('nobody gets one without a token, and is told so in the form of that API', async () => {
  expect(await post({ model: 'embed', input: 'x' }, undefined)).toMatchObject({
    status: 401,
    json: { error: { code: 'invalid_api_key', param: null } },
  })
})
