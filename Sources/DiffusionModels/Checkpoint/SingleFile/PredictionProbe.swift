import NeuralLayers
import TensorKernels

/// Finds out what a UNet of Stable Diffusion 2 predicts, which none of its keys tells: at the last timestep all is
/// noise, so a network that predicts the noise gives back about what it got, and one that predicts the velocity about
/// the opposite of a clean latent. So AUTOMATIC1111's webui and stable-diffusion.cpp tell them apart.
package enum PredictionProbe {
    private static let side = 8
    private static let tokens = 2
    private static let value: Float = 0.5
    private static let timestep = 999
    /// The mean of output less input below which it is the velocity.
    private static let bound: Float = -1

    /// Runs the network once at 8 x 8, rung by rung, so that no more than a rung's weights are in memory.
    ///
    /// - Parameter weights: gives the store for a rung's weights.
    package static func prediction(
        of configuration: UNetConfiguration, weights: (WeightStore) -> any WeightSource
    ) throws -> SchedulerConfiguration.PredictionType {
        let context = try ComputeContext(threads: 1)
        let rungs = (0..<configuration.rungCount).map { rung in
            let store = WeightStore()
            return (store, UNetStage(configuration, rungs: rung..<rung + 1, weights: weights(store)))
        }
        let width = configuration.crossAttentionDimension
        let states = Tensor([Float](repeating: value, count: tokens * width), shape: [tokens, width], in: context)
        let prompt = PromptMemory(embedding: states)
        let time = try rungs[0].1.timeMemory(timestep: timestep, in: context)
        let conditioning = Conditioning(prompt: prompt, time: time) { _, _ in (nil, nil) }

        let channels = configuration.inputChannels
        var hidden = Tensor(
            planes: [Float](repeating: value, count: channels * side * side), channels: channels, height: side,
            width: side, in: context)
        let passes = rungs.map { StagePass(of: $0.1, conditioning, isRecorded: false, in: context) }
        func run(_ rung: Int, _ body: (StagePass) throws -> Tensor) throws {
            hidden = try body(passes[rung])
            // What was used is let go at the second call.
            for _ in 0..<2 { rungs[rung].0.releaseUnused() }
        }
        for rung in rungs.indices { try run(rung) { try $0.down(hidden) } }
        for rung in rungs.indices.reversed() { try run(rung) { try $0.up(hidden) } }
        let output = hidden.planes
        let mean = output.reduce(0) { $0 + ($1 - value) } / Float(output.count)
        return mean < bound ? .velocity : .epsilon
    }
}
