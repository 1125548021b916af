import type { BadInputCase } from '../case.ts'
import { apiPath, attempt, type ManifestContext, updatesNamespace } from './cluster.ts'

type Case = BadInputCase<ManifestContext>

const digest = 'b'.repeat(64)

/** Changes that would make a valid object invalid, or a Model another model. */
export function updates(): Case[] {
  const patch = (name: string, kind: string, body: object, message: string): Case => ({
    name: `update: ${name}`,
    expected: { status: 422, message },
    run: ({ owner }) =>
      attempt(owner, {
        method: 'PATCH',
        path: apiPath(kind, kind === 'Model' ? 'stored' : 'served', updatesNamespace),
        body,
      }),
  })
  const immutable = 'spec must not change: a new version is a new Model'
  const scale = 'replicas must not be set unless scaling.mode is External'
  return [
    patch(
      'another digest',
      'Model',
      { spec: { files: [{ path: 'model.onnx', sha256: digest, sizeBytes: 1 }] } },
      immutable,
    ),
    patch('another source', 'Model', { spec: { source: { https: { url: 'https://evil.example/' } } } }, immutable),
    patch('another licence', 'Model', { spec: { licence: 'MIT' } }, immutable),
    patch('a field less', 'Model', { spec: { lineage: null } }, immutable),
    patch('no model any more', 'InferenceService', { spec: { modelRef: null } }, 'spec.modelRef'),
    patch(
      'to mode External without a count',
      'InferenceService',
      { spec: { scaling: { mode: 'External' } } },
      'replicas must be set',
    ),
    {
      name: 'update: the scale subresource in mode Hansa',
      expected: { status: 422, message: scale },
      run: ({ owner }) =>
        attempt(owner, {
          method: 'PATCH',
          path: apiPath('InferenceService', 'served/scale', updatesNamespace),
          body: { spec: { replicas: 3 } },
        }),
    },
    {
      name: 'update: a status that is none',
      expected: { status: 422, message: 'status.conditions[0].status' },
      run: ({ owner }) =>
        attempt(owner, {
          method: 'PATCH',
          path: apiPath('InferenceService', 'served/status', updatesNamespace),
          body: {
            status: {
              conditions: [
                {
                  type: 'Ready',
                  status: 'Perhaps',
                  reason: 'x',
                  message: '',
                  lastTransitionTime: '2026-01-01T00:00:00Z',
                },
              ],
            },
          },
        }),
    },
  ]
}
