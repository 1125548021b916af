import { type HostileModel, hostile } from './model-case.ts'
import {
  bytes,
  fn,
  graph,
  graphAttribute,
  join,
  message,
  model,
  node,
  sparse,
  type TensorParts,
  tensor,
  tensorAttribute,
  text,
} from './onnx-bytes.ts'

const at = (location: string): TensorParts => ({ external: [['location', location]] })
const withTensor = (parts: TensorParts) => model({ graph: graph({ initializers: [tensor(parts)] }) })
const outside = at('../outside/secret.bin')

const refused = (name: string, onnx: Buffer, says?: string) => hostile('ExternalDataRefused', name, onnx, says)

const locations: readonly (readonly [string, string])[] = [
  ['a parent folder', '../outside/secret.bin'],
  ['a parent folder by a detour', 'sub/../../outside/secret.bin'],
  ['an absolute path', '/etc/passwd'],
  ['backslashes', '..\\outside\\secret.bin'],
  ['a drive letter', 'C:\\Windows\\win.ini'],
  ['a drive letter alone', 'C:weights.bin'],
  ['a network share', '//server/share/weights.bin'],
  ['a file URL', 'file:///etc/passwd'],
  ['a home folder', '~/.ssh/id_rsa'],
  ['an encoded parent folder', '%2e%2e/outside/secret.bin'],
  ['the folder itself', '.'],
  ['a dot before the name', './weights.bin'],
  ['a slash after the name', 'weights.bin/'],
  ['a hidden file', '.weights'],
  ['a descriptor of the process', '/proc/self/fd/3'],
  ['a device', '/dev/zero'],
  ['a line break', 'weights.bin\n../secret'],
  ['a look-alike name', 'wеights.bin'],
  ['a path longer than any', 'a/'.repeat(3000)],
  ['a file that is not listed', 'other.bin'],
]

const entries: readonly (readonly [string, readonly (readonly [string, string])[], string?])[] = [
  [
    'an address in memory',
    [
      ['location', '*/_ORT_MEM_ADDR_/*'],
      ['offset', '140737488355328'],
      ['length', '8'],
    ],
    'memory',
  ],
  [
    'an address in memory below a folder',
    [
      ['location', 'x/_ORT_MEM_ADDR_/y'],
      ['offset', '0'],
    ],
    'memory',
  ],
  ['no location', [['offset', '0']]],
  ['an empty location', [['location', '']]],
  [
    'a negative offset',
    [
      ['location', 'weights.bin'],
      ['offset', '-8'],
    ],
  ],
  [
    'an offset beyond the end',
    [
      ['location', 'weights.bin'],
      ['offset', '8'],
    ],
    'beyond the end',
  ],
  [
    'an offset in another notation',
    [
      ['location', 'weights.bin'],
      ['offset', '0x0'],
    ],
  ],
  [
    'an offset with a blank',
    [
      ['location', 'weights.bin'],
      ['offset', ' 0'],
    ],
  ],
  [
    'an offset that overflows',
    [
      ['location', 'weights.bin'],
      ['offset', '18446744073709551608'],
    ],
  ],
  [
    'a length that overflows',
    [
      ['location', 'weights.bin'],
      ['length', '99999999999999999999'],
    ],
  ],
  [
    'an unknown key',
    [
      ['location', 'weights.bin'],
      ['helper', 'x'],
    ],
  ],
  [
    'weights packed for one kernel',
    [
      ['location', 'weights.bin'],
      ['prepacked_0', 'MatMul+|0;8'],
    ],
    'prepacked',
  ],
  [
    'another base folder',
    [
      ['location', 'weights.bin'],
      ['basepath', '/'],
    ],
    'base folder',
  ],
  ['the model as its own data', [['location', 'model.onnx']]],
]

const deep = (inner: Buffer, depth: number): Buffer =>
  depth === 0 ? inner : deep(graph({ nodes: [node('If', { attributes: [graphAttribute('b', inner)] })] }), depth - 1)
const attribute = (...parts: Buffer[]) =>
  model({ graph: graph({ nodes: [node('Constant', { attributes: [join(text(1, 'value'), ...parts)] })] }) })

/** Tensors whose data is said to be where a model must not look. */
export const externalModels: HostileModel[] = [
  ...locations.map(([name, location]) => refused(`external data at ${name}`, withTensor(at(location)))),
  ...entries.map(([name, external, says]) => refused(`external data with ${name}`, withTensor({ external }), says)),
  hostile('NotONNX', 'external data at a name cut by NUL', withTensor(at('weights.bin\0/../../secret'))),
  hostile(
    'ShapeRefused',
    'external data longer than its shape',
    withTensor({
      dims: [1],
      external: [
        ['location', 'weights.bin'],
        ['length', '8'],
      ],
    }),
  ),
  hostile(
    'ExternalDataRefused',
    'external data shorter than its shape',
    withTensor({ dims: [3], external: [['location', 'weights.bin']] }),
  ),
  refused('EXTERNAL without saying where', withTensor({ external: [] })),
  refused(
    'a location without EXTERNAL',
    withTensor({ extra: [message(13, text(1, 'location'), text(2, '/etc/passwd'))] }),
  ),
  refused('data inside and outside', withTensor({ ...at('weights.bin'), raw: Buffer.alloc(8) })),
  refused('strings outside', withTensor({ ...at('weights.bin'), type: 8 })),
  refused(
    'external values of a sparse tensor',
    model({ graph: graph({ sparse: [sparse({ values: { ...at('weights.bin'), raw: null } })] }) }),
    'sparse',
  ),
  refused(
    'external indices of a sparse tensor',
    model({ graph: graph({ sparse: [sparse({ indices: { ...at('weights.bin'), raw: null } })] }) }),
    'sparse',
  ),
  refused(
    'a sparse tensor in an attribute',
    attribute(bytes(22, sparse({ values: { ...outside, raw: null } }))),
    'sparseTensor',
  ),
  refused(
    'sparse tensors in an attribute',
    attribute(bytes(23, sparse({ indices: { ...outside, raw: null } }))),
    'sparseTensors[0]',
  ),
  refused('a tensor in an attribute', attribute(bytes(5, tensor(outside))), 'attribute[0].t'),
  refused('tensors in an attribute', attribute(bytes(10, tensor()), bytes(10, tensor(outside))), 'tensors[1]'),
  refused(
    'an initializer of a subgraph',
    model({ graph: deep(graph({ initializers: [tensor(outside)] }), 1) }),
    'g.initializer[0]',
  ),
  refused(
    'an initializer fifteen subgraphs down',
    model({ graph: deep(graph({ initializers: [tensor(outside)] }), 15) }),
  ),
  refused(
    'an initializer in a list of graphs',
    attribute(bytes(11, graph()), bytes(11, graph({ initializers: [tensor(outside)] }))),
    'graphs[1]',
  ),
  refused(
    'a sparse tensor in a subgraph',
    model({ graph: deep(graph({ sparse: [sparse({ values: { ...outside, raw: null } })] }), 2) }),
  ),
  refused(
    'a constant of a function',
    model({
      functions: [fn('F', 'my', [node('Constant', { attributes: [tensorAttribute('value', tensor(outside))] })])],
    }),
    'functions[0]',
  ),
  refused(
    "a default of a function's attribute",
    model({ functions: [fn('F', 'my', [node('Neg')], [message(11, tensorAttribute('value', tensor(outside)))])] }),
    'attributeProto',
  ),
  refused(
    'a subgraph of a function',
    model({
      functions: [
        fn('F', 'my', [node('If', { attributes: [graphAttribute('b', graph({ initializers: [tensor(outside)] }))] })]),
      ],
    }),
  ),
  refused(
    'the first state of training',
    model({ training: [bytes(1, graph({ initializers: [tensor(outside)] }))] }),
    'trainingInfo[0].initialization',
  ),
  refused(
    'the algorithm of training',
    model({ training: [bytes(2, graph({ initializers: [tensor(outside)] }))] }),
    'trainingInfo[0].algorithm',
  ),
]
