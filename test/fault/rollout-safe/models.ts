import { type Graph, identityModel, onnxModel } from '../../builders/onnx-model.ts'

/** What requests ask for: the entry of a table at an index. Models of one signature, of which some do it badly. */
export const goodAnswers = [10, 20, 30, 40] as const

/** `y = table[index]`; an index beyond the table makes the run fail. */
function pick(table: readonly number[]): Buffer {
  return onnxModel({
    nodes: [{ op: 'Gather', inputs: ['table', 'index'], outputs: ['y'] }],
    inputs: [{ name: 'index', type: 'INT64', shape: ['n'] }],
    outputs: [{ name: 'y', type: 'FP32', shape: ['n'] }],
    initializers: [floats('table', table)],
  })
}

/** The same, after `turns` turns of adding and taking away one, of about two microseconds each. */
function slowPick(table: readonly number[], turns: number): Buffer {
  const body: Graph = {
    nodes: [
      { op: 'Identity', inputs: ['go'], outputs: ['goOn'] },
      { op: 'Add', inputs: ['v', 'one'], outputs: ['more'] },
      { op: 'Sub', inputs: ['more', 'one'], outputs: ['vNext'] },
    ],
    inputs: [
      { name: 'turn', type: 'INT64', shape: [] },
      { name: 'go', type: 'BOOL', shape: [] },
      { name: 'v', type: 'FP32', shape: ['n'] },
    ],
    outputs: [
      { name: 'goOn', type: 'BOOL', shape: [] },
      { name: 'vNext', type: 'FP32', shape: ['n'] },
    ],
    initializers: [floats('one', [1])],
  }
  return onnxModel({
    nodes: [
      { op: 'Gather', inputs: ['table', 'index'], outputs: ['picked'] },
      { op: 'Loop', inputs: ['turns', '', 'picked'], outputs: ['y'], attributes: [{ name: 'body', graph: body }] },
    ],
    inputs: [{ name: 'index', type: 'INT64', shape: ['n'] }],
    outputs: [{ name: 'y', type: 'FP32', shape: ['n'] }],
    initializers: [
      floats('table', table),
      { name: 'turns', type: 'INT64', shape: [], raw: new Uint8Array(BigInt64Array.of(BigInt(turns)).buffer) },
    ],
  })
}

function floats(name: string, values: readonly number[]) {
  const raw = new Uint8Array(Float32Array.from(values).buffer)
  return { name, type: 'FP32' as const, shape: [values.length], raw }
}

/** The files by the name of their Model. */
export const models = {
  good: pick(goodAnswers),
  /** Other bytes, and so another revision, of the same answers. */
  better: pick([...goodAnswers, 50]),
  /** Fails on every request of ours at run time, and loads well. */
  broken: pick([10]),
  slow: slowPick(goodAnswers, 15_000),
  disagreeing: pick(goodAnswers.map((answer) => answer + 1)),
  /** Passes all checks of its file, and the runtime refuses to load it. */
  unloadable: identityModel('BF16'),
} as const satisfies Record<string, Buffer>

export type ModelName = keyof typeof models
