export * from './inference-service.ts'
export * from './model.ts'
export * from './model-reasons.ts'
export * from './resource.ts'
