import { inferenceServiceSpecSchema, inferenceServiceStatusSchema } from '@hansa/operator/api/inference-service.ts'
import { modelSpecSchema, modelStatusSchema } from '@hansa/operator/api/model.ts'
import { expect, test } from 'vitest'
import {
  inferenceService,
  suspended,
  withAccess,
  withCondition,
  withExternalReplicas,
  withGpus,
  withReplicas,
} from './inference-service.ts'
import { fileOf, model, verified, withFiles, withSource } from './model.ts'
import { inNamespace } from './object.ts'

test('a built service is what the schema accepts, with its modifiers', () => {
  const service = inferenceService(
    'chat',
    withReplicas(0),
    withGpus(2),
    withAccess({ namespace: 'web', name: 'front' }),
    suspended,
    withCondition('Ready', 'False', 'Suspended'),
  )
  expect(inferenceServiceSpecSchema.parse(service.spec)).toEqual(service.spec)
  expect(inferenceServiceStatusSchema.parse(service.status)).toEqual(service.status)
  expect(service.spec.scaling).toMatchObject({ mode: 'Hansa', minReplicas: 0, maxReplicas: 1 })
  expect(service.spec.resources.limits).toEqual({ 'nvidia.com/gpu': '2' })
  expect(inferenceService('chat', withExternalReplicas(3)).spec.replicas).toBe(3)
})

test('a built model is what the schema accepts, with its modifiers', () => {
  const built = model(
    'digits-v1',
    withSource({ local: { path: 'digits/v1' } }),
    withFiles(fileOf('a.onnx', 'a')),
    verified,
  )
  expect(modelSpecSchema.parse(built.spec)).toEqual(built.spec)
  expect(modelStatusSchema.parse(built.status)).toEqual(built.status)
})

test('objects of the same name in two namespaces are two objects', () => {
  expect(model('m', inNamespace('a')).metadata.uid).not.toBe(model('m').metadata.uid)
  expect(model('m', inNamespace('a')).metadata).toEqual(model('m', inNamespace('a')).metadata)
})

test('building one object changes no other', () => {
  inferenceService('chat', withReplicas(9))
  expect(inferenceService('chat').spec.scaling.minReplicas).toBe(1)
})
