import { type AccessKey, accessKeySpecSchema } from '@hansa/operator/api/access-key.ts'
import { apiVersion, type Condition } from '@hansa/operator/api/resource.ts'
import { metadata } from './object.ts'

/** An AccessKey for the InferenceService `chat`, with the condition Ready as given. */
export function accessKey(name: string, status: Condition['status'], reason: string): AccessKey {
  return {
    apiVersion,
    kind: 'AccessKey',
    metadata: metadata('AccessKey', name),
    spec: accessKeySpecSchema.parse({
      services: ['chat'],
      secrets: [{ id: '0123456789abcdef', sha256: 'a'.repeat(64) }],
    }),
    status: {
      conditions: [{ type: 'Ready', status, reason, message: '', lastTransitionTime: '2026-01-01T00:00:00Z' }],
    },
  }
}
