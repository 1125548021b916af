import { heldOutDigits } from './ask.ts'

// Prints an Open Inference Protocol request for one held-out picture: node test/demo/picture-request.ts NUMBER
const samples = await heldOutDigits()
const index = Number(process.argv[2] ?? 0)
const sample = samples[index]
if (sample === undefined) {
  console.error(`there is no picture ${process.argv[2]}: take a number from 0 to ${samples.length - 1}`)
  process.exitCode = 2
} else {
  console.log(JSON.stringify({ inputs: [{ name: 'image', datatype: 'FP32', shape: [1, 64], data: sample.image }] }))
}
