import { expect, test } from 'vitest'
import { fileOf, model, withFiles, withSource } from '../../../test/builders/model.ts'
import type { Model } from '../api/model.ts'
import { verifyJob } from './verify-job.ts'

const settings = {
  workerImage: 'registry.example/worker:1',
  imagePullPolicy: 'IfNotPresent',
  imagePullSecrets: [],
  allowedDomains: [],
} as const

const onClaim = (...changes: ((built: Model) => void)[]) =>
  model('digits', withSource({ pvc: { claimName: 'models', path: 'digits/v1' } }), ...changes)

test('the claim is mounted read-only, and the pod has no token and no rights', () => {
  const { spec } = verifyJob(onClaim(), settings)
  const pod = spec?.template?.spec
  expect(pod).toMatchObject({ automountServiceAccountToken: false, securityContext: { runAsNonRoot: true } })
  expect(pod?.volumes).toContainEqual({
    name: 'source',
    persistentVolumeClaim: { claimName: 'models', readOnly: true },
  })
  expect(pod?.containers?.[0]?.env).toContainEqual({
    name: 'HANSA_SOURCE_DIR',
    value: '/var/run/hansa/source/digits/v1',
  })
})

test('the same model and image give the same Job', () => {
  expect(verifyJob(onClaim(), settings)).toEqual(verifyJob(onClaim(), settings))
})

test('domains that the cluster admin allows for fetch are allowed on a claim, too', () => {
  const { spec } = verifyJob(onClaim(), { ...settings, allowedDomains: ['com.example', 'org.example'] })
  expect(spec?.template?.spec?.containers?.[0]?.env).toContainEqual({
    name: 'HANSA_ALLOWED_DOMAINS',
    value: 'com.example,org.example',
  })
})

test('another image, and another model of the same name, are another Job: pod templates cannot be changed', () => {
  const again = onClaim((built) => {
    built.metadata.uid = 'another'
  })
  const names = [
    verifyJob(onClaim(), settings),
    verifyJob(onClaim(), { ...settings, workerImage: 'registry.example/worker:2' }),
    verifyJob(again, settings),
  ].map(({ metadata }) => metadata.name)
  expect(new Set(names).size).toBe(3)
  for (const name of names) expect(name).toMatch(/^digits-verify-[0-9a-f]{8}$/)
})

test('the Job ends and goes by itself, later for more bytes', () => {
  const deadline = (sizeBytes: number) =>
    verifyJob(onClaim(withFiles({ ...fileOf('model.onnx', 'x'), sizeBytes })), settings).spec?.activeDeadlineSeconds ??
    0
  expect(deadline(1)).toBe(3601)
  expect(deadline(1e12)).toBeGreaterThan(50_000)
  expect(verifyJob(onClaim(), settings).spec?.ttlSecondsAfterFinished).toBe(3600)
})
