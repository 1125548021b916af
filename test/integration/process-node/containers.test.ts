import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { isRunning } from '../../cluster/is-running.ts'
import { type Owner, startOwner } from '../../cluster/owner.ts'
import { type ProcessNode, startProcessNode } from '../../cluster/process-node/process-node.ts'
import { eventually } from '../cluster/eventually.ts'
import { create, finished, getPod, images, isReady, logOf, mainStatus, scriptPod } from './harness.ts'

let owner: Owner
let node: ProcessNode

beforeAll(async () => {
  owner = await startOwner({ name: 'containers' })
  node = await startProcessNode({ owner, name: 'node-a', images })
})

afterAll(async () => {
  await node?.stop()
  await owner?.stop()
})

test('variables come from values, fields, resources, config maps and secrets, and from nowhere else', async () => {
  await create(owner, { kind: 'ConfigMap', metadata: { name: 'settings' }, data: { colour: 'blue', SIZE: 'big' } })
  await create(owner, { kind: 'Secret', metadata: { name: 'keys' }, stringData: { key: 's3cret' } })
  const field = (name: string, fieldPath: string) => ({ name, valueFrom: { fieldRef: { fieldPath } } })
  const env = [
    { name: 'PLAIN', value: 'a' },
    { name: 'EXPANDED', value: '$(PLAIN)-$(PREFIX_SIZE)-$(UNKNOWN)-$$(PLAIN)' },
    field('POD_NAME', 'metadata.name'),
    field('POD_IP', 'status.podIP'),
    field('HOST_IP', 'status.hostIP'),
    field('NODE', 'spec.nodeName'),
    field('ACCOUNT', 'spec.serviceAccountName'),
    field('APP', "metadata.labels['app']"),
    { name: 'MILLIS', valueFrom: { resourceFieldRef: { resource: 'limits.cpu', divisor: '1m' } } },
    { name: 'COLOUR', valueFrom: { configMapKeyRef: { name: 'settings', key: 'colour' } } },
    { name: 'KEY', valueFrom: { secretKeyRef: { name: 'keys', key: 'key' } } },
    { name: 'ABSENT', valueFrom: { secretKeyRef: { name: 'keys', key: 'none', optional: true } } },
  ]
  await create(
    owner,
    scriptPod('variables', 'env; echo "arg $(COLOUR)"', {
      container: {
        env,
        envFrom: [{ prefix: 'PREFIX_', configMapRef: { name: 'settings' } }],
        resources: { limits: { cpu: '250m' } },
      },
    }),
  )
  const { pod, log } = await finished(owner, 'variables')
  const lines = log.trim().split('\n')
  for (const line of [
    'PLAIN=a',
    'EXPANDED=a-big-$(UNKNOWN)-$(PLAIN)',
    'POD_NAME=variables',
    `POD_IP=${pod.status?.podIP}`,
    `HOST_IP=${node.address}`,
    'NODE=node-a',
    'ACCOUNT=default',
    'APP=variables',
    'MILLIS=250',
    'COLOUR=blue',
    'KEY=s3cret',
    'PREFIX_colour=blue',
    'arg blue',
  ]) {
    expect(lines).toContain(line)
  }
  const names = lines.filter((line) => line.includes('=')).map((line) => line.split('=')[0] ?? '')
  const expected = [...env.map(({ name }) => name).filter((name) => name !== 'ABSENT'), 'PREFIX_colour', 'PREFIX_SIZE']
  const own = ['HANSA_TEST_NAMESPACE', 'HOME', 'HOSTNAME', 'PATH', 'PWD', 'TMPDIR']
  const server = ['KUBERNETES_SERVICE_HOST', 'KUBERNETES_SERVICE_PORT', 'KUBERNETES_SERVICE_PORT_HTTPS']
  // A shell may export its own bookkeeping.
  expect(names.filter((name) => !['_', 'OLDPWD', 'SHLVL'].includes(name)).sort()).toEqual(
    [...expected, ...own, ...server].sort(),
  )
})

test('a missing secret keeps the container waiting until it is there', async () => {
  const env = [{ name: 'KEY', valueFrom: { secretKeyRef: { name: 'late', key: 'key' } } }]
  await create(owner, scriptPod('patient', 'echo $KEY', { container: { env } }))
  await eventually(async () => {
    expect(mainStatus(await getPod(owner, 'patient')).state.waiting?.reason).toBe('CreateContainerConfigError')
  })
  await create(owner, { kind: 'Secret', metadata: { name: 'late' }, stringData: { key: 'there' } })
  expect((await finished(owner, 'patient')).log).toBe('there\n')
})

test('volumes appear at their mount paths, and config maps change in place', async () => {
  const host = await mkdtemp(join(tmpdir(), 'hansa-host-'))
  await writeFile(join(host, 'given'), 'from the host')
  await create(owner, { kind: 'ConfigMap', metadata: { name: 'files' }, data: { one: '1', two: '2' } })
  await create(owner, { kind: 'Secret', metadata: { name: 'pair' }, stringData: { user: 'ada' } })
  await create(owner, {
    kind: 'PersistentVolume',
    metadata: { name: 'disk' },
    spec: {
      capacity: { storage: '1Gi' },
      accessModes: ['ReadWriteOnce'],
      storageClassName: 'manual',
      hostPath: { path: host },
    },
  })
  // The controller binds a claim at once only where it knows the volume already.
  await eventually(async () => {
    const { body } = await owner.request({ path: '/api/v1/persistentvolumes/disk' })
    expect(body).toMatchObject({ status: { phase: 'Available' } })
  })
  await create(owner, {
    kind: 'PersistentVolumeClaim',
    metadata: { name: 'claim' },
    spec: { accessModes: ['ReadWriteOnce'], storageClassName: 'manual', resources: { requests: { storage: '1Gi' } } },
  })
  await eventually(async () => {
    const { body } = await owner.request({ path: '/api/v1/namespaces/default/persistentvolumeclaims/claim' })
    expect(body).toMatchObject({ status: { phase: 'Bound' } })
  }, 30)
  const script = [
    'cat /files/renamed /pair/user /host/given /claim/given /labels/labels /one/only; echo',
    'cat /var/run/secrets/kubernetes.io/serviceaccount/namespace; echo',
    'echo shared > /scratch/x; cat $SCRATCH/x; ls /files',
    'while [ "$(cat /files/renamed)" = 1 ]; do sleep 0.1; done; cat /files/renamed',
  ].join('\n')
  await create(
    owner,
    scriptPod('volumes', script, {
      volumes: [
        { name: 'files', configMap: { name: 'files', items: [{ key: 'one', path: 'renamed' }] } },
        { name: 'all', configMap: { name: 'files' } },
        { name: 'pair', secret: { secretName: 'pair' } },
        { name: 'host', hostPath: { path: host, type: 'Directory' } },
        { name: 'claim', persistentVolumeClaim: { claimName: 'claim' } },
        { name: 'labels', downwardAPI: { items: [{ path: 'labels', fieldRef: { fieldPath: 'metadata.labels' } }] } },
        { name: 'scratch', emptyDir: {} },
        { name: 'none', configMap: { name: 'none', optional: true } },
      ],
      container: {
        env: [{ name: 'SCRATCH', value: '/scratch' }],
        volumeMounts: [
          { name: 'files', mountPath: '/files' },
          { name: 'all', mountPath: '/one/only', subPath: 'two' },
          { name: 'pair', mountPath: '/pair', readOnly: true },
          { name: 'host', mountPath: '/host' },
          { name: 'claim', mountPath: '/claim' },
          { name: 'labels', mountPath: '/labels' },
          { name: 'scratch', mountPath: '/scratch' },
          { name: 'none', mountPath: '/none' },
        ],
      },
    }),
  )
  await eventually(async () => expect(await logOf(owner, 'volumes')).toContain('renamed'))
  await owner.request({
    method: 'PATCH',
    path: '/api/v1/namespaces/default/configmaps/files',
    body: { data: { one: '!' } },
  })
  const { log } = await finished(owner, 'volumes')
  expect(log).toBe('1adafrom the hostfrom the hostapp="volumes"2\ndefault\nshared\nrenamed\n!')
  await rm(host, { recursive: true })
})

test('a projected token is for its audience and bound to its pod', async () => {
  await create(
    owner,
    scriptPod('token', 'cat /tokens/ca', {
      volumes: [
        {
          name: 'tokens',
          projected: {
            sources: [{ serviceAccountToken: { audience: 'hansa-ca', expirationSeconds: 600, path: 'ca' } }],
          },
        },
      ],
      container: { volumeMounts: [{ name: 'tokens', mountPath: '/tokens' }] },
    }),
  )
  const { pod, log } = await finished(owner, 'token')
  const claims = JSON.parse(Buffer.from(log.split('.')[1] ?? '', 'base64url').toString('utf8'))
  expect(claims.aud).toEqual(['hansa-ca'])
  expect(claims.exp - claims.iat).toBe(600)
  expect(claims['kubernetes.io'].pod).toEqual({ name: 'token', uid: pod.metadata.uid })
  expect(claims['kubernetes.io'].node.name).toBe('node-a')
})

test('init containers run one after the other, are repeated until they succeed, and sidecars stay beside the app', async () => {
  const volumeMounts = [{ name: 'shared', mountPath: '/shared' }]
  const step = (name: string, script: string, more = {}) => ({
    name,
    image: 'test/sh',
    args: [script],
    volumeMounts,
    ...more,
  })
  await create(
    owner,
    scriptPod('ordered', 'cat /shared/order; test -e /shared/side && echo beside', {
      restartPolicy: 'OnFailure',
      volumes: [{ name: 'shared', emptyDir: {} }],
      initContainers: [
        step('first', 'echo first >> /shared/order'),
        step('second', 'echo second >> /shared/order; test $(grep -c second /shared/order) = 2'),
        step('side', 'touch /shared/side; exec sleep 1000', { restartPolicy: 'Always' }),
      ],
      container: { volumeMounts },
    }),
  )
  const { pod, log } = await finished(owner, 'ordered')
  expect(log).toBe('first\nsecond\nsecond\nbeside\n')
  expect(pod.status?.phase).toBe('Succeeded')
  const restarts = pod.status?.initContainerStatuses?.map(({ name, restartCount }) => [name, restartCount])
  expect(restarts).toEqual([
    ['first', 0],
    ['second', 1],
    ['side', 0],
  ])
})

test('an init container that fails fails a pod that is never restarted', async () => {
  await create(
    owner,
    scriptPod('unlucky', 'echo never', { initContainers: [{ name: 'bad', image: 'test/sh', args: ['exit 7'] }] }),
  )
  const pod = await eventually(async () => {
    const now = await getPod(owner, 'unlucky')
    expect(now.status?.phase).toBe('Failed')
    return now
  })
  expect(pod.status?.initContainerStatuses?.[0]?.state.terminated?.exitCode).toBe(7)
  expect(mainStatus(pod).state.waiting?.reason).toBe('PodInitializing')
})

test('a pod is Ready only while its readiness probe succeeds', async () => {
  await create(
    owner,
    scriptPod('gated', 'exec sleep 1000', {
      volumes: [{ name: 'gate', emptyDir: {} }],
      container: {
        volumeMounts: [{ name: 'gate', mountPath: '/gate' }],
        readinessProbe: { exec: { command: ['test', '-e', '/gate/open'] }, periodSeconds: 1, failureThreshold: 1 },
      },
    }),
  )
  const gate = await eventually(async () => {
    const pod = await getPod(owner, 'gated')
    expect(mainStatus(pod).state.running).toBeDefined()
    return join(node.dir, 'pods', pod.metadata.uid, 'volumes/gate/open')
  })
  expect(isReady(await getPod(owner, 'gated'))).toBe(false)
  await writeFile(gate, '')
  await eventually(async () => expect(isReady(await getPod(owner, 'gated'))).toBe(true))
  await rm(gate)
  await eventually(async () => expect(isReady(await getPod(owner, 'gated'))).toBe(false))
})

test('HTTP and TCP probes reach the pod at its own address and named port', async () => {
  const script = `require('http').createServer((q, s) => s.writeHead(q.headers['x-probe'] === 'yes' && q.url === '/ok' ? 200 : 500).end()).listen(8080, process.env.POD_IP)`
  await create(
    owner,
    scriptPod('web', script, {
      container: {
        image: 'test/node',
        ports: [{ name: 'http', containerPort: 8080 }],
        env: [{ name: 'POD_IP', valueFrom: { fieldRef: { fieldPath: 'status.podIP' } } }],
        startupProbe: { tcpSocket: { port: 8080 }, periodSeconds: 1, failureThreshold: 20 },
        readinessProbe: {
          httpGet: { port: 'http', path: '/ok', httpHeaders: [{ name: 'X-Probe', value: 'yes' }] },
          periodSeconds: 1,
        },
      },
    }),
  )
  await eventually(async () => expect(isReady(await getPod(owner, 'web'))).toBe(true))
})

test('a failing liveness probe restarts the container, and --previous shows the log of the run before', async () => {
  const script =
    'echo run; touch /state/alive; sleep 1.5; test -e /state/again || rm /state/alive; touch /state/again; exec sleep 1000'
  await create(
    owner,
    scriptPod('lively', script, {
      restartPolicy: 'Always',
      terminationGracePeriodSeconds: 1,
      volumes: [{ name: 'state', emptyDir: {} }],
      container: {
        volumeMounts: [{ name: 'state', mountPath: '/state' }],
        livenessProbe: {
          exec: { command: ['test', '-e', '/state/alive'] },
          initialDelaySeconds: 1,
          periodSeconds: 1,
          failureThreshold: 1,
        },
      },
    }),
  )
  const pod = await eventually(async () => {
    const now = await getPod(owner, 'lively')
    expect(mainStatus(now).restartCount).toBe(1)
    expect(mainStatus(now).state.running).toBeDefined()
    return now
  }, 30)
  expect(mainStatus(pod).lastState.terminated?.exitCode).toBe(143)
  expect(await logOf(owner, 'lively', '--previous')).toBe('run\n')
})

test('a crashing container backs off and counts its restarts', async () => {
  await create(owner, scriptPod('crashing', 'echo no; exit 3', { restartPolicy: 'Always' }))
  const status = await eventually(async () => {
    const now = mainStatus(await getPod(owner, 'crashing'))
    expect(now.restartCount).toBeGreaterThanOrEqual(2)
    expect(now.state.waiting?.reason).toBe('CrashLoopBackOff')
    return now
  }, 20)
  expect(status.lastState.terminated).toMatchObject({ exitCode: 3, reason: 'Error' })
})

test('an unknown image keeps the pod Pending with ErrImagePull', async () => {
  await create(owner, scriptPod('imageless', '', { container: { image: 'nowhere/none:1' } }))
  await eventually(async () => {
    const pod = await getPod(owner, 'imageless')
    expect(pod.status?.phase).toBe('Pending')
    expect(mainStatus(pod).state.waiting?.reason).toMatch(/^(ErrImagePull|ImagePullBackOff)$/)
  })
})

test('a command that does not exist ends as a start error', async () => {
  await create(owner, scriptPod('commandless', '', { container: { command: ['no-such-program'] } }))
  const { pod } = await finished(owner, 'commandless').catch(async () => ({ pod: await getPod(owner, 'commandless') }))
  expect(mainStatus(pod).state.terminated).toMatchObject({ exitCode: 128, reason: 'StartError' })
})

test('the termination message is what the container wrote, or the end of its log where it asked for that', async () => {
  await create(owner, scriptPod('last-words', `echo '{"reason":"Broken"}' > /dev/termination-log; exit 2`))
  await create(
    owner,
    scriptPod('last-lines', 'echo so it ends; exit 2', {
      container: { terminationMessagePolicy: 'FallbackToLogsOnError' },
    }),
  )
  const words = mainStatus((await finished(owner, 'last-words')).pod).state.terminated
  expect(words).toMatchObject({ exitCode: 2, reason: 'Error', message: '{"reason":"Broken"}\n' })
  const lines = mainStatus((await finished(owner, 'last-lines')).pod).state.terminated
  expect(lines?.message).toBe('so it ends')
})

test('logs can be followed, cut to their last lines, and chosen by container', async () => {
  await create(
    owner,
    scriptPod('talking', 'echo 1; echo 2; sleep 1; echo 3', {
      containers: [
        { name: 'main', image: 'test/sh', args: ['echo 1; echo 2; sleep 1; echo 3'] },
        { name: 'other', image: 'test/sh', args: ['echo other >&2'] },
      ],
    }),
  )
  await eventually(async () => expect(await logOf(owner, 'talking', '-c', 'main')).toContain('1'))
  expect(await logOf(owner, 'talking', '-c', 'main', '-f')).toBe('1\n2\n3\n')
  expect(await logOf(owner, 'talking', '-c', 'main', '--tail=2')).toBe('2\n3\n')
  expect(await logOf(owner, 'talking', '-c', 'other')).toBe('other\n')
})

test('a deleted pod gets SIGTERM and time to end, and SIGKILL with all its children after that', async () => {
  const polite = `trap 'echo bye > /out/polite; exit 0' TERM; echo up; while :; do sleep 0.1; done`
  const stubborn = `trap '' TERM; sh -c "trap '' TERM; echo child \\$$\\$$; while :; do sleep 0.1; done" & echo up; while :; do sleep 0.1; done`
  const out = await mkdtemp(join(tmpdir(), 'hansa-out-'))
  const volumes = [{ name: 'out', hostPath: { path: out } }]
  const container = { volumeMounts: [{ name: 'out', mountPath: '/out' }] }
  await create(owner, scriptPod('polite', polite, { terminationGracePeriodSeconds: 20, volumes, container }))
  await create(owner, scriptPod('stubborn', stubborn, { terminationGracePeriodSeconds: 2 }))
  for (const name of ['polite', 'stubborn']) {
    await eventually(async () => expect(await logOf(owner, name)).toMatch(name === 'polite' ? /up/ : /child \d/))
  }
  const began = Date.now()
  await owner.kubectl(['delete', 'pod', 'polite', '--timeout=15s'])
  expect(Date.now() - began).toBeLessThan(10_000)
  expect(await readFile(join(out, 'polite'), 'utf8')).toBe('bye\n')

  const child = Number(/child (\d+)/.exec(await logOf(owner, 'stubborn'))?.[1])
  const pids = [child, node.pods().find(({ name }) => name === 'stubborn')?.containers[0]?.pid ?? 0]
  expect(pids.map(isRunning)).toEqual([true, true])
  const again = Date.now()
  await owner.kubectl(['delete', 'pod', 'stubborn', '--timeout=15s'])
  expect(Date.now() - again).toBeGreaterThan(1_900)
  expect(pids.map(isRunning)).toEqual([false, false])
  await rm(out, { recursive: true })
})

test('a pod that is deleted by force is gone from the node within two seconds', async () => {
  await create(
    owner,
    scriptPod('forced', `trap '' TERM; while :; do sleep 0.1; done`, { terminationGracePeriodSeconds: 60 }),
  )
  const pid = await eventually(() => {
    const found = node.pods().find(({ name }) => name === 'forced')?.containers[0]?.pid
    expect(found).toBeDefined()
    return found ?? 0
  })
  await owner.kubectl(['delete', 'pod', 'forced', '--force', '--grace-period=0'])
  await eventually(() => expect(isRunning(pid)).toBe(false), 3)
})

test('a pod that outlives its deadline fails with that reason', async () => {
  await create(owner, scriptPod('late', 'exec sleep 1000', { activeDeadlineSeconds: 2 }))
  const { pod } = await finished(owner, 'late')
  expect(pod.status).toMatchObject({ phase: 'Failed', reason: 'DeadlineExceeded' })
  expect(mainStatus(pod).state.terminated?.exitCode).toBe(143)
})
