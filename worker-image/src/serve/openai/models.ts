import type { Worker } from '../worker.ts'

/** The service's one model, as OpenAI lists models. When it was made is not known here. */
export function modelObject({ model }: Worker) {
  return { id: model.name, object: 'model', created: 0, owned_by: 'hansa' }
}

/** Body of `GET /v1/models`. */
export function modelList(worker: Worker) {
  return { object: 'list', data: [modelObject(worker)] }
}
