import { request as httpsRequest } from 'node:https'
import { setTimeout as sleep } from 'node:timers/promises'
import type { ApiClient } from './api-request.ts'

/** How to know a server, and how to be known to it. */
export interface Trust {
  readonly ca: string
  readonly cert?: string
  readonly key?: string
}

/** Whether a health endpoint of a part answers 200. */
export function answersOk(url: string, trust: Trust): Promise<boolean> {
  return new Promise((resolve) => {
    const request = httpsRequest(url, { ...trust, agent: false, timeout: 2_000 }, (response) => {
      response.resume()
      resolve(response.statusCode === 200)
    })
    request.once('timeout', () => request.destroy())
    request.once('error', () => resolve(false))
    request.once('close', () => resolve(false))
    request.end()
  })
}

/** Waits until the controllers have filled the default namespace, without which no pod can be created in it. */
export async function defaultNamespaceReady(client: ApiClient, deadlineMilliseconds = 180_000): Promise<void> {
  const deadline = Date.now() + deadlineMilliseconds
  const paths = ['serviceaccounts/default', 'configmaps/kube-root-ca.crt']
  for (;;) {
    const answers = await Promise.all(
      paths.map((path) =>
        client.send({ path: `/api/v1/namespaces/default/${path}`, timeoutMilliseconds: 5_000 }).then(
          (answer) => answer.status,
          () => 0,
        ),
      ),
    )
    if (answers.every((status) => status === 200)) return
    if (Date.now() > deadline) throw new Error('the controller manager has not filled the default namespace in time')
    await sleep(50)
  }
}
