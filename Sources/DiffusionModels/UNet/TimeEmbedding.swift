import Foundation
import NeuralLayers
import TensorKernels

/// Sines and cosines of a timestep, then two linear layers. diffusers' `Timesteps` and `TimestepEmbedding`.
struct TimeEmbedding: Sendable {
    private let channels: Int
    private let flipsSineToCosine: Bool
    private let frequencyShift: Int
    private let linear1: Linear
    private let linear2: Linear

    init(_ scope: ParameterScope, _ configuration: UNetConfiguration) {
        channels = configuration.blockChannels[0]
        flipsSineToCosine = configuration.flipsSineToCosine
        frequencyShift = configuration.frequencyShift
        let width = configuration.timeEmbeddingDimension
        linear1 = Linear(scope["linear_1"], inputs: channels, outputs: width)
        linear2 = Linear(scope["linear_2"], inputs: width, outputs: width)
    }

    func callAsFunction(_ timestep: Int, in context: ComputeContext) throws -> TimeMemory {
        // A few rows for a timestep: float32 costs nothing here.
        let context = context.with(elementType: .float32)
        let waves = Tensor(waves(timestep), shape: [1, channels], in: context)
        let hidden = Activation.silu(try linear1(waves, in: context), in: context)
        return TimeMemory(activated: Activation.silu(try linear2(hidden, in: context), in: context))
    }

    var work: Work { linear1.work(rows: 1) + linear2.work(rows: 1) }

    /// sin and cos of t / 10000^(i / (n - shift)); an odd channel count ends with a zero.
    ///
    /// The angle is rounded to float32 as in PyTorch, since at t = 999 that rounding is visible in the result.
    func waves(_ timestep: Int) -> [Float] {
        let half = channels / 2
        var sines: [Float] = []
        var cosines: [Float] = []
        for index in 0..<half {
            let exponent = Float(-log(10000.0)) * Float(index) / Float(half - frequencyShift)
            let angle = Double(Float(timestep) * Float(exp(Double(exponent))))
            sines.append(Float(sin(angle)))
            cosines.append(Float(cos(angle)))
        }
        let waves = flipsSineToCosine ? cosines + sines : sines + cosines
        return waves + [Float](repeating: 0, count: channels - 2 * half)
    }
}
